// Judges and makes module zips with Go's own packages.
//
// "judge DIR PATH VERSION" prints, for each DIR/*.zip in order, its name and either the h1 hash
// or "invalid: " and why. "make DIR PATH VERSION" writes module zips into DIR as the go command
// would, for each sub-directory of DIR. "select" reads file lists; see select.go.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "select" {
		selectAll()
		return
	}
	if len(os.Args) != 5 {
		log.Fatal("usage: judge|make DIR PATH VERSION, or select")
	}
	dir, mod := os.Args[2], module.Version{Path: os.Args[3], Version: os.Args[4]}
	switch os.Args[1] {
	case "judge":
		judgeAll(dir, mod)
	case "make":
		makeAll(dir, mod)
	}
}

func judgeAll(dir string, mod module.Version) {
	files, err := filepath.Glob(filepath.Join(dir, "*.zip"))
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, file := range files {
		fmt.Fprintf(out, "%s\t%s\n", filepath.Base(file), judge(file, mod))
	}
}

func judge(file string, mod module.Version) string {
	_, err := zip.CheckZip(mod, file)
	if err == nil {
		var h1 string
		h1, err = dirhash.HashZip(file, dirhash.Hash1)
		if err == nil {
			return h1
		}
	}
	return fmt.Sprintf("invalid: %q", err)
}

func makeAll(dir string, mod module.Version) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		tree := filepath.Join(dir, entry.Name())
		out, err := os.Create(tree + ".zip")
		if err != nil {
			log.Fatal(err)
		}
		if err := zip.CreateFromDir(out, mod, tree); err != nil {
			log.Fatal(err)
		}
		if err := out.Close(); err != nil {
			log.Fatal(err)
		}
	}
}
