// Command vectors writes ../vectors.jsonl: texts of a checksum database, valid and mutated, each
// with the verdict of Go's own packages.
//
//	go run . > ../vectors.jsonl
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	root      = "bBskskILWVt/WMg8Q72lPF8yrRylbr1hck5Ezea+CiI="
	head      = "go.sum database tree\n3\n" + root + "\n"
	signature = "\u2014 sumdb.golden.example oSmN4DyE4ZJOi47vD3p4R6txHistcsZdyLUtIxj0yxvJfohA1fVSuOqhBT9CWUHOCuI0qifb7VWNfRsT0soMesxUPgA=\n"
	zipLine   = "a.b/C v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	modLine   = "a.b/C v1.0.0/go.mod h1:WR+jEqeMeQvlAUwp8Jzgb73OOzzx7b9ptN19wyb/caU=\n"
	signed    = head + "\n" + signature
)

// kinds: the texts to begin with, what is put in, and Go's verdict, narrowed to what larder takes.
var kinds = []struct {
	name          string
	seeds, pieces []string
	ok            func(string) bool
}{
	{"tile",
		[]string{"tile/8/0/000", "tile/8/7/x001/234.p/5", "tile/8/data/x001/x234/067.p/255", "tile/8/1/999.p/1"},
		[]string{"0", "1", "x", "/", "x000/", ".p/", "8", "-", "+", "data", "256", "999", "tile/"}, tileOK},
	{"head",
		[]string{head, "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\nmore\n"},
		[]string{"\n", "0", "-", "+", "=", " ", "A", "9223372036854775808", "\r"}, headOK},
	{"note",
		[]string{signed, "a\n\nb\n\n" + signature + signature, "\n\n\u2014 b AAAAAQI=\n"},
		[]string{"\n", "\n\n", "\u2014 ", " ", "+", "=", "A", "\u00a0", "\t", "\x7f", "\u0000", "é", "-"}, noteOK},
	{"lookup",
		[]string{"2\n" + zipLine + modLine + "\n" + signed, "0\n" + modLine + "blind 01\n" + zipLine + "\n" + signed},
		[]string{"\n", "\n\n", " ", "0", "3", "/go.mod", "h1:", "h2:", "C", "c", "=", "A", "-", zipLine, modLine}, lookupOK},
}

func main() {
	random := rand.New(rand.NewPCG(1, 2))
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for _, kind := range kinds {
		for range 250 {
			text := kind.seeds[random.IntN(len(kind.seeds))]
			for range random.IntN(3) {
				text = mutate(text, kind.pieces, random)
			}
			vector := struct {
				Kind, Text string
				OK         bool
			}{kind.name, text, kind.ok(text)}
			if err := out.Encode(vector); err != nil {
				panic(err)
			}
		}
	}
}

func mutate(text string, pieces []string, random *rand.Rand) string {
	runes := []rune(text)
	at := random.IntN(len(runes) + 1)
	cut := min(random.IntN(4), len(runes)-at)
	piece := ""
	if random.IntN(3) > 0 {
		piece = pieces[random.IntN(len(pieces))]
	}
	return string(runes[:at]) + piece + string(runes[at+cut:])
}

func tileOK(path string) bool {
	tile, err := tlog.ParseTilePath(path)
	return err == nil && tile.H == 8 && tile.L <= 7 && tile.N <= math.MaxInt64>>8
}

func headOK(text string) bool {
	_, err := tlog.ParseTree([]byte(text))
	return err == nil && strict(strings.Split(text, "\n")[2])
}

// noteOK leaves signatures unverified: no key is known.
func noteOK(message string) bool {
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open([]byte(message), note.VerifierList()); !errors.As(err, &unverified) {
		return false
	}
	_, lines, _ := cutLast(message, "\n\n")
	for line := range strings.Lines(lines) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if !strict(fields[2]) {
			return false
		}
	}
	return true
}

func lookupOK(body string) bool {
	id, record, message, err := tlog.ParseRecord([]byte(body))
	if err != nil || !strings.HasPrefix(body, strconv.FormatInt(id, 10)+"\n") || !noteOK(string(message)) {
		return false
	}
	text, _, _ := cutLast(string(message), "\n\n")
	tree, err := tlog.ParseTree([]byte(text + "\n"))
	if err != nil || !headOK(text+"\n") || id < 0 || id >= tree.N {
		return false
	}
	return one(string(record), "a.b/C v1.0.0 ") && one(string(record), "a.b/C v1.0.0/go.mod ")
}

// one reports whether the lines with a prefix hold one h1 hash, and only that.
func one(record, prefix string) bool {
	hashes := map[string]bool{}
	for line := range strings.Lines(record) {
		if hash, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix+"h1:"); found {
			hashes[hash] = true
		}
	}
	for hash := range hashes {
		sum, err := base64.StdEncoding.DecodeString(hash)
		return len(hashes) == 1 && err == nil && len(sum) == 32
	}
	return false
}

// strict reports whether text is canonical base64 without the line ends that Go skips.
func strict(text string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && !strings.ContainsAny(text, "\r\n")
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}
