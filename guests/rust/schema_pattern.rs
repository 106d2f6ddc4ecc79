//! Simple regular expressions: characters, classes, `.`, `\d`, `\w`, `\s` and their opposites, `^`, `$`, and `*`, `+`, `?`, `{m,n}`
//! behind one of these. No groups, no alternatives, no look-around. The time is bounded by the text's length times the pattern's.

/// States of a pattern, after repetitions are written out.
const MAX_STATES: usize = 512;

enum Atom {
    Any,
    /// Ranges, and whether it is all but them.
    Set(Vec<(char, char)>, bool),
}

struct State {
    atom: Atom,
    /// It may be left out.
    optional: bool,
    /// It may come again.
    repeats: bool,
}

pub struct Pattern {
    states: Vec<State>,
    from_start: bool,
    to_end: bool,
}

impl Pattern {
    /// None if it is not one of the simple ones.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut chars: &str = text;
        let from_start = chars.starts_with('^');
        if from_start {
            chars = &chars[1..];
        }
        let mut pattern = Pattern { states: Vec::new(), from_start, to_end: false };
        let chars: Vec<char> = chars.chars().collect();
        let mut at = 0;
        while at < chars.len() {
            if chars[at] == '$' && at + 1 == chars.len() {
                pattern.to_end = true;
                break;
            }
            let start = at;
            atom(&chars, &mut at)?;
            let (least, most) = repetition(&chars, &mut at)?;
            for index in 0..most.unwrap_or(least.max(1)) {
                let last = index + 1 == most.unwrap_or(least.max(1));
                pattern.states.push(State { atom: atom(&chars, &mut { start })?, optional: index >= least, repeats: most.is_none() && last });
            }
            if pattern.states.len() > MAX_STATES {
                return None;
            }
        }
        Some(pattern)
    }

    /// True if it is found in a text.
    pub fn is_in(&self, text: &str) -> bool {
        let count = self.states.len();
        // Whether each state may be the next one; behind the last of them, all have been passed.
        let mut now = vec![false; count + 1];
        let mut next = vec![false; count + 1];
        now[0] = true;
        self.skip(&mut now);
        for c in text.chars() {
            if now[count] && !self.to_end {
                return true;
            }
            next.iter_mut().for_each(|each| *each = false);
            for (index, state) in self.states.iter().enumerate().filter(|(index, _)| now[*index]) {
                if state.atom.has(c) {
                    next[index + 1] = true;
                    next[index] |= state.repeats;
                }
            }
            next[0] |= !self.from_start;
            self.skip(&mut next);
            std::mem::swap(&mut now, &mut next);
        }
        now[count]
    }

    fn skip(&self, states: &mut [bool]) {
        for (index, state) in self.states.iter().enumerate() {
            if states[index] && state.optional {
                states[index + 1] = true;
            }
        }
    }
}

impl Atom {
    fn has(&self, c: char) -> bool {
        match self {
            Atom::Any => !matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}'),
            Atom::Set(ranges, not) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

/// What stands at a position, which moves behind it.
fn atom(chars: &[char], at: &mut usize) -> Option<Atom> {
    let c = *chars.get(*at)?;
    *at += 1;
    Some(match c {
        '.' => Atom::Any,
        '\\' => {
            let c = *chars.get(*at)?;
            *at += 1;
            match class(c) {
                Some(ranges) => Atom::Set(ranges, c.is_ascii_uppercase()),
                None => Atom::Set(vec![single(literal(c)?)], false),
            }
        }
        '[' => set(chars, at)?,
        '(' | ')' | '|' | '*' | '+' | '?' | '{' | '}' | ']' | '^' | '$' => return None,
        c => Atom::Set(vec![single(c)], false),
    })
}

fn single(c: char) -> (char, char) {
    (c, c)
}

fn class(c: char) -> Option<Vec<(char, char)>> {
    Some(match c {
        'd' | 'D' => vec![('0', '9')],
        'w' | 'W' => vec![('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        's' | 'S' => vec![('\t', '\r'), (' ', ' '), ('\u{a0}', '\u{a0}'), ('\u{2000}', '\u{200a}'), ('\u{2028}', '\u{2029}'), ('\u{3000}', '\u{3000}'), ('\u{feff}', '\u{feff}')],
        _ => return None,
    })
}

/// What an escape stands for; none for those that mean something else, such as `\b` and `\1`.
fn literal(c: char) -> Option<char> {
    match c {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        c if c.is_ascii_punctuation() || c == ' ' => Some(c),
        _ => None,
    }
}

fn set(chars: &[char], at: &mut usize) -> Option<Atom> {
    let not = chars.get(*at) == Some(&'^');
    if not {
        *at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        let c = *chars.get(*at)?;
        *at += 1;
        let from = match c {
            ']' => return Some(Atom::Set(ranges, not)),
            '\\' => {
                let c = *chars.get(*at)?;
                *at += 1;
                match class(c) {
                    Some(_) if c.is_ascii_uppercase() => return None,
                    Some(mut more) => {
                        ranges.append(&mut more);
                        continue;
                    }
                    None => literal(c)?,
                }
            }
            c => c,
        };
        let mut to = from;
        if chars.get(*at) == Some(&'-') && chars.get(*at + 1).map_or(false, |c| *c != ']') {
            to = chars[*at + 1];
            *at += 2;
            if to == '\\' {
                to = literal(*chars.get(*at)?)?;
                *at += 1;
            }
        }
        if from > to {
            return None;
        }
        ranges.push((from, to));
    }
}

/// How often: at least, and at most; none for any number.
fn repetition(chars: &[char], at: &mut usize) -> Option<(usize, Option<usize>)> {
    let found = match chars.get(*at) {
        Some('*') => (0, None),
        Some('+') => (1, None),
        Some('?') => (0, Some(1)),
        Some('{') => {
            let end = *at + chars[*at..].iter().position(|c| *c == '}')?;
            let text: String = chars[*at + 1..end].iter().collect();
            *at = end;
            let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number <= MAX_STATES);
            match text.find(',') {
                None => (number(&text)?, Some(number(&text)?)),
                Some(comma) if comma + 1 == text.len() => (number(&text[..comma])?, None),
                Some(comma) => (number(&text[..comma])?, Some(number(&text[comma + 1..])?)),
            }
        }
        _ => return Some((1, Some(1))),
    };
    *at += 1;
    match (found, chars.get(*at)) {
        // A pattern is found or not, whether it is in a hurry or not.
        (_, Some('?')) => *at += 1,
        (_, Some('*' | '+' | '{')) => return None,
        _ => {}
    }
    match found {
        (least, Some(most)) if least > most => None,
        found => Some(found),
    }
}
