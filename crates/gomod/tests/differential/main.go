// Command differential answers questions about Go's module grammar by Go's own packages.
//
// It reads one JSON object a line, {"op": "...", "args": ["..."]}, and answers each with one line,
// an array of strings. An answer begins with "ok" or "error"; behind "error" stands the reason,
// without texts of the question. To add a question, add a function to ops and the same question
// to answer in ../differential.rs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

var ops = map[string]func(args []string) []string{
	"check-path":      checkPath,
	"check-file-path": checkFilePath,
	"escape-path":     escapePath,
	"unescape-path":   unescapePath,
	"split-path":      splitPath,
	"escape-version":  escapeVersion,
	"canonical":       canonical,
	"compare":         compare,
	"semver-parts":    semverParts,
	"pseudo":          pseudo,
	"path-major":      pathMajor,
	"patterns":        patterns,
	"goproxy":         goproxy,
	"modfile":         modFile,
	"fold":            fold,
	"unicode-version": unicodeVersion,
	"request":         request,
	"split-any":       splitAny,
	"match-major":     matchMajor,
	"pseudo-version":  pseudoVersion,
	"module-line":     moduleLine,
	"language":        language,
	"quote":           quote,
	"malformed":       malformed,
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	questions := json.NewDecoder(in)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	for questions.More() {
		var question struct {
			Op   string
			Args []string
		}
		if err := questions.Decode(&question); err != nil {
			fail(err)
		}
		op := ops[question.Op]
		if op == nil {
			fail(fmt.Errorf("unknown op %q", question.Op))
		}
		if err := answers.Encode(op(question.Args)); err != nil {
			fail(err)
		}
	}
	if err := out.Flush(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "differential:", err)
	os.Exit(1)
}

func ok(values ...string) []string { return append([]string{"ok"}, values...) }
