package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// check prints how many heads, tiles, look-ups and proofs of the log in dir hold; else it fails.
func check(dir string) {
	salt := string(load(dir, "salt"))
	signer := must(note.NewSigner(string(load(dir, "skey"))))
	verifier := must(note.NewVerifier(string(load(dir, "vkey"))))
	sizes := headSizes(dir)
	var hashes storage
	hashes.grow(salt, 0, slices.Max(sizes))
	for _, size := range sizes {
		checkHead(dir, size, signer, verifier, hashes)
	}
	tiles := checkTiles(dir, salt, hashes)
	lookups := checkLookups(dir, salt)
	proofs := checkProofs(dir, salt, hashes)
	fmt.Printf("heads %d tiles %d lookups %d proofs %d\n", len(sizes), tiles, lookups, proofs)
}

func headSizes(dir string) (sizes []int64) {
	for _, entry := range must(os.ReadDir(filepath.Join(dir, "head"))) {
		sizes = append(sizes, must(strconv.ParseInt(entry.Name(), 10, 64)))
	}
	return sizes
}

// checkHead compares a signed head with the one that Go signs, byte for byte.
func checkHead(dir string, size int64, signer note.Signer, verifier note.Verifier, hashes storage) {
	message := load(dir, fmt.Sprintf("head/%d", size))
	opened := must(note.Open(message, note.VerifierList(verifier)))
	tree := must(tlog.ParseTree([]byte(opened.Text)))
	if tree.N != size || tree.Hash != must(tlog.TreeHash(size, hashes)) {
		log.Fatalf("head %d is %v", size, tree)
	}
	if again := must(note.Sign(&note.Note{Text: opened.Text}, signer)); !bytes.Equal(again, message) {
		log.Fatalf("head %d is signed\n%s\nnot\n%s", size, message, again)
	}
}

// checkTiles compares each tile with the one that Go cuts.
func checkTiles(dir, salt string, hashes storage) (count int) {
	walk(filepath.Join(dir, "tile"), func(path string) {
		path = filepath.ToSlash(must(filepath.Rel(dir, path)))
		tile := must(tlog.ParseTilePath(path))
		var expected []byte
		if tile.L < 0 {
			expected = dataTile(tile, salt)
		} else {
			expected = must(tlog.ReadTileData(tile, hashes))
		}
		if !bytes.Equal(load(dir, path), expected) {
			log.Fatalf("%s differs", path)
		}
		count++
	})
	return count
}

// checkLookups asks the log as the go command does. State stays from one look-up to the next, every
// other time with an empty cache, as on a machine that was cleaned.
func checkLookups(dir, salt string) (count int) {
	ops := &files{dir: dir, config: map[string][]byte{"key": load(dir, "vkey")}, cache: map[string][]byte{}}
	walk(filepath.Join(dir, "lookup"), func(path string) {
		path = filepath.ToSlash(must(filepath.Rel(filepath.Join(dir, "lookup"), path)))
		module, version, _ := strings.Cut(path, "@")
		if count%2 == 0 {
			clear(ops.cache)
		}
		lines := must(sumdb.NewClient(ops).Lookup(module, version))
		id := must(strconv.ParseInt(strings.TrimPrefix(version, "v0.0."), 10, 64))
		first, _, _ := strings.Cut(string(record(salt, id)), "\n")
		if len(lines) != 1 || lines[0] != first {
			log.Fatalf("lookup of %s gives %q", path, lines)
		}
		count++
	})
	return count
}

func checkProofs(dir, salt string, hashes storage) (count int) {
	for line := range strings.Lines(string(load(dir, "proofs"))) {
		kind, size, other, proof := fields(strings.TrimSuffix(line, "\n"))
		root := must(tlog.TreeHash(size, hashes))
		var err error
		if kind == "record" {
			err = tlog.CheckRecord(proof, size, root, other, tlog.RecordHash(record(salt, other)))
		} else {
			err = tlog.CheckTree(proof, size, root, other, must(tlog.TreeHash(other, hashes)))
		}
		if err != nil {
			log.Fatalf("%s: %v", line, err)
		}
		count++
	}
	return count
}

func walk(root string, visit func(path string)) {
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			visit(path)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// files is a client's world: a folder for the server, memory for its state.
type files struct {
	dir           string
	config, cache map[string][]byte
}

func (f *files) ReadRemote(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(path)))
}

func (f *files) ReadConfig(file string) ([]byte, error) { return f.config[file], nil }

func (f *files) WriteConfig(file string, old, new []byte) error {
	if !bytes.Equal(f.config[file], old) {
		return sumdb.ErrWriteConflict
	}
	f.config[file] = new
	return nil
}

func (f *files) ReadCache(file string) ([]byte, error) {
	if data, ok := f.cache[file]; ok {
		return data, nil
	}
	return nil, os.ErrNotExist
}

func (f *files) WriteCache(file string, data []byte) { f.cache[file] = data }
func (f *files) Log(msg string)                      {}
func (f *files) SecurityError(msg string)            { log.Fatal(msg) }
