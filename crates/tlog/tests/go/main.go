// Writes and checks logs as files, with golang.org/x/mod's own packages.
//
//	make DIR SALT SIZE...   writes the log as it was at each size, signed, with proofs
//	check DIR               checks a log that others wrote, by a client of the go command too
//
// A log is a folder: skey, vkey and salt; head/<size>, signed; tile/8/...; lookup/<module>@<version>;
// and proofs, a line each: "record <size> <id> <hashes>" or "tree <size> <older size> <hashes>".
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	name   = "sumdb.golden.example"
	module = "golden.example/m"
)

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) >= 5 && os.Args[1] == "make":
		var sizes []int64
		for _, arg := range os.Args[4:] {
			sizes = append(sizes, must(strconv.ParseInt(arg, 10, 64)))
		}
		write(os.Args[2], os.Args[3], sizes)
	case len(os.Args) == 3 && os.Args[1] == "check":
		check(os.Args[2])
	default:
		log.Fatal("usage: make DIR SALT SIZE..., or check DIR")
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func version(id int64) string { return fmt.Sprintf("v0.0.%d", id) }

// record is the text that a log with this salt has at a place.
func record(salt string, id int64) []byte {
	h1 := func(kind string) string {
		sum := sha256.Sum256([]byte(kind + salt + strconv.FormatInt(id, 10)))
		return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
	}
	v := version(id)
	return fmt.Appendf(nil, "%s %s %s\n%s %s/go.mod %s\n", module, v, h1("zip"), module, v, h1("mod"))
}

// storage is Go's dense array of all hashes.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = s[index]
	}
	return hashes, nil
}

func (s *storage) grow(salt string, from, to int64) {
	for id := from; id < to; id++ {
		*s = append(*s, must(tlog.StoredHashes(id, record(salt, id), *s))...)
	}
}

func write(dir, salt string, sizes []int64) {
	skey, vkey, err := note.GenerateKey(seeded{rand.New(rand.NewPCG(1, uint64(len(salt))))}, name)
	if err != nil {
		log.Fatal(err)
	}
	signer := must(note.NewSigner(skey))
	save(dir, "skey", []byte(skey))
	save(dir, "vkey", []byte(vkey))
	save(dir, "salt", []byte(salt))
	random := rand.New(rand.NewPCG(2, uint64(len(salt))))
	var hashes storage
	var proofs bytes.Buffer
	var older int64
	for _, size := range sizes {
		hashes.grow(salt, older, size)
		for _, tile := range tlog.NewTiles(8, older, size) {
			save(dir, tile.Path(), must(tlog.ReadTileData(tile, hashes)))
			if tile.L == 0 {
				tile.L = -1
				save(dir, tile.Path(), dataTile(tile, salt))
			}
		}
		text := string(tlog.FormatTree(tlog.Tree{N: size, Hash: must(tlog.TreeHash(size, hashes))}))
		signed := must(note.Sign(&note.Note{Text: text}, signer))
		save(dir, fmt.Sprintf("head/%d", size), signed)
		for range 40 {
			id := random.Int64N(size)
			lookup := must(tlog.FormatRecord(id, record(salt, id)))
			save(dir, "lookup/"+module+"@"+version(id), append(lookup, signed...))
			proof := tlog.TreeProof(must(tlog.ProveRecord(size, id, hashes)))
			fmt.Fprintf(&proofs, "record %d %d %s\n", size, id, encode(proof))
			from := 1 + random.Int64N(size)
			fmt.Fprintf(&proofs, "tree %d %d %s\n", size, from, encode(must(tlog.ProveTree(size, from, hashes))))
		}
		older = size
	}
	save(dir, "proofs", proofs.Bytes())
}

func dataTile(tile tlog.Tile, salt string) []byte {
	var data []byte
	for id := tile.N * 256; id < tile.N*256+int64(tile.W); id++ {
		message := must(tlog.FormatRecord(id, record(salt, id)))
		_, text, _ := bytes.Cut(message, []byte("\n"))
		data = append(data, text...)
	}
	return data
}

func encode(hashes []tlog.Hash) string {
	var all []byte
	for _, hash := range hashes {
		all = append(all, hash[:]...)
	}
	return base64.StdEncoding.EncodeToString(all)
}

func save(dir, path string, data []byte) {
	file := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		log.Fatal(err)
	}
}

func load(dir, path string) []byte {
	return must(os.ReadFile(filepath.Join(dir, filepath.FromSlash(path))))
}

// seeded makes keys that are the same in every run.
type seeded struct{ *rand.Rand }

func (s seeded) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s.Uint32())
	}
	return len(p), nil
}

func decode(text string) []tlog.Hash {
	all := must(base64.StdEncoding.DecodeString(text))
	if len(all)%tlog.HashSize != 0 {
		log.Fatalf("a proof of %d bytes", len(all))
	}
	var hashes []tlog.Hash
	for ; len(all) > 0; all = all[tlog.HashSize:] {
		hashes = append(hashes, tlog.Hash(all[:tlog.HashSize]))
	}
	return hashes
}

func fields(line string) (kind string, size, other int64, hashes []tlog.Hash) {
	f := strings.Split(line, " ")
	return f[0], must(strconv.ParseInt(f[1], 10, 64)), must(strconv.ParseInt(f[2], 10, 64)), decode(f[3])
}
