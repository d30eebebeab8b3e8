package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strconv"

	"golang.org/x/mod/zip"
)

// A tree is one list of files to select from.
type tree struct {
	Files []treeFile
	GoMod *string
	// License is the size of the repository's LICENSE where the module is below the root.
	License *int64
}

type treeFile struct {
	Path []byte
	Kind string
	Size int64
}

type selected struct {
	Kept  []string
	Lines []string
}

// selectAll reads one tree a line from standard input and answers each with one line.
func selectAll() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	answers := json.NewEncoder(out)
	for in.More() {
		var t tree
		if err := in.Decode(&t); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(t.selected()); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// selected lists the files as the go command does after "git archive", and checks them.
func (t tree) selected() selected {
	var files []zip.File
	haveLicense := false
	for _, f := range t.Files {
		// A gitlink is an empty directory in the archive; the go command drops those.
		if f.Kind == "other" {
			continue
		}
		file := fakeFile{path: string(f.Path), size: f.Size}
		if f.Kind == "symlink" {
			file.mode = fs.ModeSymlink
		}
		if file.path == "go.mod" && t.GoMod != nil {
			file.content = *t.GoMod
		}
		files = append(files, file)
		haveLicense = haveLicense || file.path == "LICENSE"
	}
	if !haveLicense && t.License != nil {
		files = append(files, fakeFile{path: "LICENSE", size: *t.License})
	}
	checked, err := zip.CheckFiles(files)
	if err == nil {
		return selected{Kept: checked.Valid}
	}
	var list zip.FileErrorList
	if !errors.As(err, &list) {
		return selected{Lines: []string{err.Error()}}
	}
	var lines []string
	for _, e := range list {
		lines = append(lines, shown(e.Path)+": "+e.Err.Error())
	}
	return selected{Lines: lines}
}

// shown quotes what does not print; Go does not.
func shown(path string) string {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if utf8.ValidString(path) && !strings.ContainsFunc(path, unprintable) {
		return path
	}
	return strconv.Quote(path)
}

type fakeFile struct {
	path    string
	size    int64
	mode    fs.FileMode
	content string
}

func (f fakeFile) Path() string                { return f.path }
func (f fakeFile) Lstat() (os.FileInfo, error) { return f, nil }
func (f fakeFile) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte(f.content))), nil
}
func (f fakeFile) Name() string       { return f.path }
func (f fakeFile) Size() int64        { return f.size }
func (f fakeFile) Mode() fs.FileMode  { return f.mode | 0o644 }
func (f fakeFile) ModTime() time.Time { return time.Time{} }
func (f fakeFile) IsDir() bool        { return false }
func (f fakeFile) Sys() any           { return nil }
