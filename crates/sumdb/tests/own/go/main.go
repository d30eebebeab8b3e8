// Command own verifies a log with Go's own packages. It asks on standard output, line by line, and
// is answered on standard input:
//
//	grow <size>     the log makes golden records until there are so many: ok
//	get <path>      + and base64, or - for what is not there
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const last = 70000

var (
	in     = bufio.NewReader(os.Stdin)
	asking sync.Mutex
	hashes memory
	random = rand.New(rand.NewPCG(1, 2))
	// Numbers of records that were erased.
	erased = map[int64]bool{}
)

// memory holds the hashes of a tree as Go numbers them.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(m)) {
			return nil, errors.New("no such hash")
		}
		found = append(found, m[index])
	}
	return found, nil
}

func main() {
	vkey := os.Args[1]
	verifier, err := note.NewVerifier(vkey)
	check(err)
	verifiers := note.VerifierList(verifier)
	// The client of one developer, who keeps the newest head, but never a cache.
	config := &ops{vkey: vkey, name: verifier.Name()}
	for _, id := range os.Args[2:] {
		number, err := strconv.ParseInt(id, 10, 64)
		check(err)
		erased[number] = true
	}
	if len(erased) > 0 {
		remaining(config, verifiers)
		return
	}
	var older []tlog.Tree
	for _, size := range sizes() {
		grow(size)
		tree := head(verifiers)
		wanted, err := tlog.TreeHash(size, hashes)
		check(err)
		assert(tree.N == size && tree.Hash == wanted, "head of %d", size)
		checkpoint(verifiers, verifier.Name(), tree)
		before := int64(0)
		if len(older) > 0 {
			before = older[len(older)-1].N
		}
		for _, tile := range tlog.NewTiles(8, before, size) {
			compare(tile)
		}
		for range 3 {
			if len(older) > 0 {
				old := older[random.IntN(len(older))]
				extends(old, tree)
				tiles := tlog.NewTiles(8, 0, old.N)
				compare(tiles[random.IntN(len(tiles))])
			}
			bundle(verifiers, tree, random.Int64N(tree.N))
			proof(verifiers, tree, random.Int64N(tree.N))
		}
		lookups(config, size)
		older = append(older, tree)
	}
	fmt.Printf("checked %d records at %d sizes\n", last, len(older))
}

// remaining looks at a log of which some records were erased, and at what it grows to.
func remaining(config *ops, verifiers note.Verifiers) {
	for _, size := range []int64{700, 701, 768, 1000} {
		grow(size)
		tree := head(verifiers)
		wanted, err := tlog.TreeHash(size, hashes)
		check(err)
		assert(tree.N == size && tree.Hash == wanted, "head of %d", size)
		checkpoint(verifiers, config.name, tree)
		for _, tile := range tlog.NewTiles(8, 0, size) {
			compare(tile)
		}
		config.cache = map[string][]byte{}
		client := sumdb.NewClient(config)
		client.SetTileHeight(8)
		for id := range size {
			lines, err := client.Lookup("golden.example/m", "v0.0."+strconv.FormatInt(id, 10))
			if erased[id] {
				assert(err != nil, "record %d is looked up", id)
				for _, path := range []string{"/bundle/", "/proof/"} {
					_, found := get(path + strconv.FormatInt(id, 10))
					assert(!found, "%s%d", path, id)
				}
				continue
			}
			check(err)
			assert(strings.HasPrefix(text(id), lines[0]+"\n"), "lines of %d: %q", id, lines)
			bundle(verifiers, tree, id)
			proof(verifiers, tree, id)
		}
	}
	fmt.Printf("checked %d records of which %d are erased\n", tlogSize(), len(erased))
}

// sizes returns the sizes at which the log is looked at.
// sizes are those that change much, and some by chance; with LARDER_LOG_SIZES=all each one there is,
// which takes the better part of an hour.
func sizes() []int64 {
	if os.Getenv("LARDER_LOG_SIZES") == "all" {
		sizes := make([]int64, last)
		for at := range sizes {
			sizes[at] = int64(at) + 1
		}
		return sizes
	}
	sizes := []int64{1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 65793, last}
	for range 60 {
		sizes = append(sizes, 1+random.Int64N(last))
	}
	for range 40 {
		sizes = append(sizes, 1+random.Int64N(1500))
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

func text(id int64) string {
	h1 := func(kind string) string {
		sum := sha256.Sum256([]byte(kind + strconv.FormatInt(id, 10)))
		return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
	}
	version := "golden.example/m v0.0." + strconv.FormatInt(id, 10)
	return version + " " + h1("zip") + "\n" + version + "/go.mod " + h1("mod") + "\n"
}

func grow(size int64) {
	for id := tlogSize(); id < size; id++ {
		added, err := tlog.StoredHashes(id, []byte(text(id)), hashes)
		check(err)
		hashes = append(hashes, added...)
	}
	assert(string(ask("grow "+strconv.FormatInt(size, 10))) == "ok", "grow")
}

// tlogSize returns how many records the tree in memory has.
func tlogSize() int64 {
	size := int64(0)
	for tlog.StoredHashCount(size) < int64(len(hashes)) {
		size++
	}
	return size
}

func head(verifiers note.Verifiers) tlog.Tree {
	signed, err := note.Open(must("/latest"), verifiers)
	check(err)
	tree, err := tlog.ParseTree([]byte(signed.Text))
	check(err)
	return tree
}

func checkpoint(verifiers note.Verifiers, origin string, tree tlog.Tree) {
	signed, err := note.Open(must("/checkpoint"), verifiers)
	check(err)
	want := fmt.Sprintf("%s\n%d\n%s\n", origin, tree.N, tree.Hash)
	assert(signed.Text == want, "checkpoint of %d: %q", tree.N, signed.Text)
}

// compare holds a tile against Go's, and for the lowest level both forms of the records.
func compare(tile tlog.Tile) {
	wanted, err := tlog.ReadTileData(tile, hashes)
	check(err)
	assert(bytes.Equal(must("/"+tile.Path()), wanted), "%s", tile.Path())
	c2sp := "/c2sp/tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
	assert(bytes.Equal(must(c2sp), wanted), "%s", c2sp)
	if tile.L != 0 {
		return
	}
	data := tile
	data.L = -1
	path := "/c2sp/tile/entries/" + strings.TrimPrefix(data.Path(), "tile/8/data/")
	for id := tile.N << 8; id < tile.N<<8+int64(tile.W); id++ {
		if erased[id] {
			for _, path := range []string{"/" + data.Path(), path} {
				_, found := get(path)
				assert(!found, "%s", path)
			}
			return
		}
	}
	var records, entries []byte
	for id := tile.N << 8; id < tile.N<<8+int64(tile.W); id++ {
		// Without the number that Go's FormatRecord writes first.
		record, err := tlog.FormatRecord(id, []byte(text(id)))
		check(err)
		records = append(records, record[bytes.IndexByte(record, '\n')+1:]...)
		entries = binary.BigEndian.AppendUint16(entries, uint16(len(text(id))))
		entries = append(entries, text(id)...)
	}
	assert(bytes.Equal(must("/"+data.Path()), records), "%s", data.Path())
	assert(bytes.Equal(must(path), entries), "%s", path)
}

func extends(old, tree tlog.Tree) {
	raw := must("/extends/" + strconv.FormatInt(old.N, 10))
	var proof tlog.TreeProof
	for hash := range slices.Chunk(raw, tlog.HashSize) {
		proof = append(proof, tlog.Hash(hash))
	}
	check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
}

// bundle checks a proof for offline use: first line, number, hashes, record, note.
func bundle(verifiers note.Verifiers, tree tlog.Tree, id int64) {
	parts := strings.SplitN(string(must("/bundle/"+strconv.FormatInt(id, 10))), "\n\n", 3)
	lines := strings.Split(parts[0], "\n")
	assert(lines[1] == strconv.FormatInt(id, 10), "number of %d", id)
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		proof = append(proof, hash)
	}
	record := parts[1] + "\n"
	assert(record == text(id), "record %d", id)
	signed, err := note.Open([]byte(parts[2]), verifiers)
	check(err)
	signedTree, err := tlog.ParseTree([]byte(signed.Text))
	check(err)
	assert(signedTree == tree, "head of bundle %d", id)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, id, tlog.RecordHash([]byte(record))))
}

// proof checks a proof for offline use as C2SP tlog-proof has it.
func proof(verifiers note.Verifiers, tree tlog.Tree, id int64) {
	signed, checkpoint, _ := strings.Cut(string(must("/proof/"+strconv.FormatInt(id, 10))), "\n\n")
	lines := strings.Split(signed, "\n")
	extra := "extra " + base64.StdEncoding.EncodeToString([]byte(text(id)))
	index := "index " + strconv.FormatInt(id, 10)
	assert(slices.Equal(lines[:3], []string{"c2sp.org/tlog-proof@v1", extra, index}), "proof of %d: %q", id, lines)
	var hashes tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		hashes = append(hashes, hash)
	}
	opened, err := note.Open([]byte(checkpoint), verifiers)
	check(err)
	_, rest, _ := strings.Cut(opened.Text, "\n")
	assert(rest == fmt.Sprintf("%d\n%s\n", tree.N, tree.Hash), "checkpoint of proof %d", id)
	check(tlog.CheckRecord(hashes, tree.N, tree.Hash, id, tlog.RecordHash([]byte(text(id)))))
}

// lookups asks as the go command does.
func lookups(config *ops, size int64) {
	config.cache = map[string][]byte{}
	client := sumdb.NewClient(config)
	client.SetTileHeight(8)
	for range 4 {
		id := random.Int64N(size)
		lines, err := client.Lookup("golden.example/m", "v0.0."+strconv.FormatInt(id, 10))
		check(err)
		assert(strings.HasPrefix(text(id), lines[0]+"\n"), "lines of %d: %q", id, lines)
	}
	_, err := client.Lookup("golden.example/m", "v0.0."+strconv.FormatInt(size, 10))
	assert(err != nil, "record %d is not there yet", size)
}

// ops is the outside world of Go's client.
type ops struct {
	vkey, name    string
	latest        []byte
	cache         map[string][]byte
	cacheOrConfig sync.Mutex
}

func (o *ops) ReadRemote(path string) ([]byte, error) {
	body, found := get(path)
	if !found {
		return nil, errors.New("not found")
	}
	return body, nil
}

func (o *ops) ReadConfig(file string) ([]byte, error) {
	o.cacheOrConfig.Lock()
	defer o.cacheOrConfig.Unlock()
	if file == "key" {
		return []byte(o.vkey), nil
	}
	return o.latest, nil
}

func (o *ops) WriteConfig(file string, old, new []byte) error {
	o.cacheOrConfig.Lock()
	defer o.cacheOrConfig.Unlock()
	if !bytes.Equal(o.latest, old) {
		return sumdb.ErrWriteConflict
	}
	o.latest = new
	return nil
}

func (o *ops) ReadCache(file string) ([]byte, error) {
	o.cacheOrConfig.Lock()
	defer o.cacheOrConfig.Unlock()
	if body, found := o.cache[file]; found {
		return body, nil
	}
	return nil, os.ErrNotExist
}

func (o *ops) WriteCache(file string, data []byte) {
	o.cacheOrConfig.Lock()
	defer o.cacheOrConfig.Unlock()
	o.cache[file] = data
}

func (o *ops) Log(string) {}

func (o *ops) SecurityError(message string) { fail(message) }

func must(path string) []byte {
	body, found := get(path)
	assert(found, "%s is missing", path)
	return body
}

func get(path string) ([]byte, bool) {
	answer := ask("get " + path)
	if len(answer) == 0 || answer[0] != '+' {
		return nil, false
	}
	body, err := base64.StdEncoding.DecodeString(string(answer[1:]))
	check(err)
	return body, true
}

func ask(question string) []byte {
	asking.Lock()
	defer asking.Unlock()
	fmt.Println(question)
	answer, err := in.ReadBytes('\n')
	check(err)
	return bytes.TrimSuffix(answer, []byte("\n"))
}

func assert(ok bool, format string, args ...any) {
	if !ok {
		fail(fmt.Sprintf(format, args...))
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}
