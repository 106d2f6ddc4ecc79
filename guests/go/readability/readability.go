// Tour plugin: how easy a Markdown text is to read, by Flesch's formula.
package main

import "unicode/utf8"

// A library for the host has no main of its own, but the compiler asks for one.
func main() {}

//go:wasmexport readability
func readability() int32 {
	text := input()
	if !utf8.Valid(text) {
		return failWith("the input is not valid UTF-8")
	}
	counts := count(string(text))
	if counts.words == 0 {
		return failWith("the input has no words")
	}
	return succeedWith(counts.json())
}

type counts struct {
	sentences, words, syllables int
	// Words since the last end of a sentence.
	pending int
}

func count(text string) counts {
	var found counts
	fenced := false
	for _, line := range lines(text) {
		if isFence(line) {
			fenced = !fenced
			found.endSentence()
		} else if !fenced {
			found.addLine(line)
		}
	}
	found.endSentence()
	return found
}

func lines(text string) []string {
	var found []string
	start := 0
	for at := 0; at < len(text); at++ {
		if text[at] == '\n' {
			found = append(found, text[start:at])
			start = at + 1
		}
	}
	return append(found, text[start:])
}

func (c *counts) endSentence() {
	if c.pending > 0 {
		c.sentences++
	}
	c.pending = 0
}

// A heading, a list item or an empty line ends the sentence before it, whatever its punctuation.
func (c *counts) addLine(line string) {
	line = trimLeft(line)
	heading := line != "" && line[0] == '#'
	if line == "" || heading || isListItem(line) {
		c.endSentence()
	}
	c.addProse([]rune(line))
	if heading {
		c.endSentence()
	}
}

func (c *counts) addProse(line []rune) {
	word := make([]rune, 0, 32)
	for at := 0; at < len(line); at++ {
		r := line[at]
		if isWordRune(r) || isInsideWord(line, at) {
			word = append(word, lower(r))
			continue
		}
		c.addWord(word)
		word = word[:0]
		if r == '.' || r == '!' || r == '?' {
			c.endSentence()
		}
		// The target of a link is not read.
		if r == ']' && at+1 < len(line) && line[at+1] == '(' {
			for at < len(line) && line[at] != ')' {
				at++
			}
		}
	}
	c.addWord(word)
}

func (c *counts) addWord(word []rune) {
	if len(word) == 0 {
		return
	}
	c.words++
	c.pending++
	c.syllables += syllables(word)
}

// Groups of vowels, without a silent final e; at least one.
func syllables(word []rune) int {
	count := 0
	afterVowel := false
	for _, r := range word {
		vowel := isVowel(r)
		if vowel && !afterVowel {
			count++
		}
		afterVowel = vowel
	}
	if count > 1 && hasSilentE(word) {
		count--
	}
	return max(count, 1)
}

// "made", but neither "free" nor "table".
func hasSilentE(word []rune) bool {
	end := len(word) - 1
	if word[end] != 'e' || isVowel(word[end-1]) {
		return false
	}
	return !(word[end-1] == 'l' && end >= 2 && !isVowel(word[end-2]))
}

func isVowel(r rune) bool {
	switch r {
	case 'a', 'e', 'i', 'o', 'u', 'y', 'ä', 'ö', 'ü', 'á', 'é', 'í', 'ó', 'ú', 'à', 'è', 'ê', 'â', 'î', 'ô', 'û':
		return true
	}
	return false
}

// Letters beyond ASCII are taken as a whole: the tables of Unicode would double the module.
func isWordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0xc0 && !isPunctuation(r)
}

func isPunctuation(r rune) bool {
	return r == '×' || r == '÷' || r >= 0x2000 && r < 0x2c00 || r >= 0x3000 && r < 0x3040 || r >= 0xfe00
}

// An apostrophe, or the point of a number.
func isInsideWord(line []rune, at int) bool {
	if at == 0 || at+1 == len(line) || !isWordRune(line[at-1]) || !isWordRune(line[at+1]) {
		return false
	}
	r := line[at]
	return r == '\'' || r == '’' || (r == '.' && isDigit(line[at-1]) && isDigit(line[at+1]))
}

func isDigit(r rune) bool {
	return r >= '0' && r <= '9'
}

func lower(r rune) rune {
	if r >= 'A' && r <= 'Z' || r >= 0xc0 && r <= 0xde {
		return r + 0x20
	}
	return r
}

func isFence(line string) bool {
	line = trimLeft(line)
	return len(line) >= 3 && line[:3] == "```"
}

func isListItem(line string) bool {
	return len(line) >= 2 && (line[0] == '-' || line[0] == '*' || line[0] == '+') && line[1] == ' '
}

func trimLeft(line string) string {
	for line != "" && (line[0] == ' ' || line[0] == '\t' || line[0] == '\r') {
		line = line[1:]
	}
	return line
}

// Flesch, "A new readability yardstick" (1948).
func (c *counts) readingEase() float64 {
	words := float64(c.words)
	return 206.835 - 1.015*(words/float64(c.sentences)) - 84.6*(float64(c.syllables)/words)
}

func (c *counts) json() string {
	return `{"sentences":` + decimal(c.sentences) + `,"words":` + decimal(c.words) +
		`,"syllables":` + decimal(c.syllables) + `,"readingEase":` + twoPlaces(c.readingEase()) + `}`
}

func decimal(value int) string {
	if value < 10 {
		return string(rune('0' + value))
	}
	return decimal(value/10) + decimal(value%10)
}

// Written by hand, because fmt and strconv would double the module.
func twoPlaces(value float64) string {
	if value < 0 {
		return "-" + twoPlaces(-value)
	}
	hundredths := int(value*100 + 0.5)
	return decimal(hundredths/100) + "." + decimal(hundredths/10%10) + decimal(hundredths%10)
}
