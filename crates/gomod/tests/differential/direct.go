package main

import (
	"fmt"
	"go/version"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

func splitAny(args []string) []string {
	prefix, major, isOk := module.SplitPathVersion(args[0])
	if !isOk {
		return []string{"error"}
	}
	return ok(prefix, major)
}

// pathMajors are the endings that SplitPathVersion gives; of others PathMajorPrefix panics.
var pathMajors = regexp.MustCompile(`^$|^/v([2-9]|[1-9][0-9]+)$|^\.v0$|^\.v[1-9][0-9]*(-unstable)?$`)

func matchMajor(args []string) []string {
	if !pathMajors.MatchString(args[1]) {
		return []string{"error"}
	}
	return ok(fmt.Sprint(module.MatchPathMajor(args[0], args[1])), module.PathMajorPrefix(args[1]))
}

// pseudoVersion builds one; larder wants the result to be canonical and to be read back.
func pseudoVersion(args []string) []string {
	t, err := time.Parse(module.PseudoVersionTimestampFormat, args[2])
	if err != nil {
		return []string{"error"}
	}
	v := module.PseudoVersion(args[0], args[1], t, args[3])
	if !module.IsPseudoVersion(v) || module.CanonicalVersion(v) != v {
		return []string{"error"}
	}
	return ok(v)
}

func moduleLine(args []string) []string {
	path := modfile.ModulePath([]byte(args[0]))
	if path == "" {
		return []string{"error"}
	}
	return ok(path)
}

// language reads a go line as golang.org/x/mod/zip does.
func language(args []string) []string {
	file, err := modfile.ParseLax("go.mod", []byte(args[0]), nil)
	if err != nil || file.Go == nil {
		return []string{"error"}
	}
	lang := version.Lang("go" + file.Go.Version)
	if lang == "" {
		return []string{"error"}
	}
	return ok(lang)
}

func quote(args []string) []string { return ok(strconv.Quote(args[0])) }

func malformed(args []string) []string {
	if err := module.CheckFilePath(args[0]); err != nil {
		return []string{"error", err.Error()}
	}
	return ok()
}
