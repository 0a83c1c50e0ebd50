package caddyws

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// document is a Markdown file, without what stands in its code blocks.
type document struct {
	path     string
	lines    []string
	headings []heading
}

type heading struct {
	level        int
	text, anchor string
}

var (
	headingLine = regexp.MustCompile(`^(#{1,6}) (.+)$`)
	mdLink      = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	mdLinkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// readDocument reads a Markdown file. A line inside of a code block is empty.
func readDocument(t *testing.T, path string) document {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := document{path: path}
	fenced, seen := false, make(map[string]int)
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced, line = !fenced, ""
		}
		if fenced {
			line = ""
		}
		d.lines = append(d.lines, line)
		if parts := headingLine.FindStringSubmatch(line); parts != nil {
			anchor := anchorOf(parts[2])
			if n := seen[anchor]; n > 0 {
				anchor = fmt.Sprintf("%s-%d", anchor, n)
			}
			seen[anchorOf(parts[2])]++
			d.headings = append(d.headings, heading{len(parts[1]), parts[2], anchor})
		}
	}
	return d
}

// anchorOf is the anchor that GitHub gives to a heading.
func anchorOf(text string) string {
	text = mdLinkText.ReplaceAllString(text, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

func (d document) has(anchor string) bool {
	for _, h := range d.headings {
		if h.anchor == anchor {
			return true
		}
	}
	return false
}

// documents are the Markdown files of the repository.
func documents(t *testing.T) (all []document) {
	t.Helper()
	for _, pattern := range []string{"*.md", "*/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			all = append(all, readDocument(t, path))
		}
	}
	if len(all) < 10 {
		t.Fatalf("there are %d documents", len(all))
	}
	return all
}

// Every link within the repository leads to a file, and to a heading of it.
func TestLinksOfDocuments(t *testing.T) {
	links := 0
	for _, d := range documents(t) {
		for i, line := range d.lines {
			for _, link := range mdLink.FindAllStringSubmatch(line, -1) {
				if strings.Contains(link[1], "://") {
					continue
				}
				links++
				if err := d.follow(t, link[1]); err != nil {
					t.Errorf("%s:%d: %v", d.path, i+1, err)
				}
			}
		}
	}
	if links < 200 {
		t.Errorf("there are %d links", links)
	}
}

// follow tells what is wrong with a link.
func (d document) follow(t *testing.T, link string) error {
	path, anchor, _ := strings.Cut(link, "#")
	target := d
	if path != "" {
		path = filepath.Join(filepath.Dir(d.path), path)
		if _, err := os.Stat(path); err != nil {
			return err
		}
		if anchor != "" {
			target = readDocument(t, path)
		}
	}
	if anchor != "" && !target.has(anchor) {
		return fmt.Errorf("%s has no heading for #%s", target.path, anchor)
	}
	return nil
}

// The contents of the README have each heading of the levels 2 and 3, in its order.
func TestContentsOfTheReadme(t *testing.T) {
	d := readDocument(t, "README.md")
	const title = "## Contents"
	_, contents, _ := strings.Cut(strings.Join(d.lines, "\n"), "\n"+title+"\n")
	contents, _, found := strings.Cut(contents, "\n## ")
	if !found {
		t.Fatal("there are no contents")
	}
	var want, got []string
	for _, h := range d.headings {
		if (h.level == 2 || h.level == 3) && "## "+h.text != title {
			want = append(want, "#"+h.anchor)
		}
	}
	for _, link := range mdLink.FindAllStringSubmatch(contents, -1) {
		if strings.HasPrefix(link[1], "#") {
			got = append(got, link[1])
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the contents have\n%s\nand the README has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Lines of the README can be read in a terminal and in a diff. Tables and pictures are
// as long as they are.
func TestLinesOfTheReadme(t *testing.T) {
	const longest = 125 // characters
	for i, line := range readDocument(t, "README.md").lines {
		code := strings.HasPrefix(strings.TrimLeft(line, " "), "|") || strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "![")
		if n := utf8.RuneCountInString(line); n > longest && !code {
			t.Errorf("line %d has %d characters, expected up to %d: %s", i+1, n, longest, line)
		}
	}
}
