//! What counts as personal data, and where it ends. Each question is answered by the characters from a position on and the
//! six in front of it; if the answer depends on characters that are not there yet, it is `More`. So a text that comes in
//! pieces is judged like one that comes whole.

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    Ip,
    Ssn,
    Key,
}

pub const KINDS: [(Kind, &str, &str); 7] = [
    (Kind::Email, "email", "EMAIL"),
    (Kind::Phone, "phone", "PHONE"),
    (Kind::Card, "card", "CARD"),
    (Kind::Iban, "iban", "IBAN"),
    (Kind::Ip, "ip", "IP"),
    (Kind::Ssn, "ssn", "SSN"),
    (Kind::Key, "key", "KEY"),
];

impl Kind {
    pub fn label(self) -> &'static str {
        KINDS.iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, _, label)| label)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    No,
    /// It takes more characters to know.
    More,
    /// So many characters; with `long`, what follows belongs to it as far as [`is_key_char`] holds.
    Yes { kind: Kind, length: usize, long: bool },
}

/// Characters in front that are looked at, and the most behind that are.
pub const BEFORE: usize = 6;
const LONGEST: usize = 255;

/// Characters to look at.
pub struct Window<'a> {
    pub chars: &'a [char],
    pub before: [char; BEFORE],
    /// Nothing follows.
    pub ends: bool,
    /// Where the run of an address's characters ends that was looked at last, and the domain behind its at sign.
    pub run: Option<(usize, Found)>,
}

impl Window<'_> {
    /// The character at a distance; none behind the end.
    pub fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).copied()
    }

    /// The character `back` in front of a position, 1 for the one before it.
    pub fn back(&self, index: usize, back: usize) -> char {
        if index >= back {
            self.chars[index - back]
        } else {
            self.before[BEFORE - (back - index)]
        }
    }

    /// What is known of a position behind the end.
    pub fn cut(&self) -> Found {
        if self.ends {
            Found::No
        } else {
            Found::More
        }
    }

    /// What begins here, of the kinds that are wanted.
    pub fn look(&mut self, from: usize, wants: &[bool; 7]) -> Found {
        let c = self.chars[from];
        let local = is_local(c) && c != '.' && wants[Kind::Email as usize];
        // Inside of a word nothing begins but the end of an address that is too long.
        if is_word(self.back(from, 1)) {
            return if local { self.email(from) } else { Found::No };
        }
        if c.is_ascii_alphabetic() {
            for (kind, look) in [(Kind::Key, Self::key as fn(&Self, usize) -> Found), (Kind::Iban, Self::iban)] {
                let found = if wants[kind as usize] { look(self, from) } else { Found::No };
                if found != Found::No {
                    return found;
                }
            }
        }
        if local {
            let found = self.email(from);
            if found != Found::No {
                return found;
            }
        }
        if wants[Kind::Ip as usize] && (c.is_ascii_hexdigit() || c == ':') {
            let found = self.ip(from);
            if found != Found::No {
                return found;
            }
        }
        if c == '+' || c == '(' || (c.is_ascii_digit() && self.starts_number(from)) {
            for (kind, look) in [(Kind::Card, Self::card as fn(&Self, usize) -> Found), (Kind::Ssn, Self::ssn), (Kind::Phone, Self::phone)] {
                let found = if wants[kind as usize] { look(self, from) } else { Found::No };
                if found != Found::No {
                    return found;
                }
            }
        }
        Found::No
    }

    /// Not behind a decimal point, or in the last groups of a UUID.
    fn starts_number(&self, from: usize) -> bool {
        let (one, two) = (self.back(from, 1), self.back(from, 2));
        if matches!(one, '.' | ',') && two.is_ascii_digit() {
            return false;
        }
        let group = (2..=5).all(|back| self.back(from, back).is_ascii_hexdigit());
        !(one == '-' && group && (self.back(from, 6) == '-' || self.back(from, 6).is_ascii_hexdigit()))
    }

    // ---- e-mail addresses

    /// 64 characters at most in front of the at sign, as RFC 5321 has it; of a longer run the last 64.
    fn email(&mut self, from: usize) -> Found {
        let (end, domain) = match self.run {
            Some((end, domain)) if end > from => (end, domain),
            _ => {
                let mut end = from;
                while self.at(end).map_or(false, is_local) {
                    end += 1;
                }
                let domain = match self.at(end) {
                    Some('@') => self.domain(end + 1),
                    Some(_) => Found::No,
                    None => self.cut(),
                };
                self.run = Some((end, domain));
                (end, domain)
            }
        };
        if end - from > 64 {
            return Found::No;
        }
        match domain {
            Found::Yes { length, .. } => Found::Yes { kind: Kind::Email, length: end + 1 - from + length, long: false },
            other => other,
        }
    }

    /// The longest run of labels, of 190 characters at most, whose last is a name of two letters or more.
    fn domain(&self, from: usize) -> Found {
        let mut labels = 0;
        let mut best = 0;
        let mut start = from;
        let mut at = from;
        loop {
            let c = self.at(at);
            let inside = c.map_or(false, |c| is_letter(c) || c.is_ascii_digit() || c == '-') && at - from < 190;
            if inside {
                at += 1;
                continue;
            }
            if c.is_none() && !self.ends && at - from < 190 {
                return Found::More;
            }
            if at == start || self.chars[start] == '-' {
                break;
            }
            labels += 1;
            let mut end = at;
            while self.chars[end - 1] == '-' {
                end -= 1;
            }
            if labels > 1 && end - start > 1 && is_letter(self.chars[start]) {
                best = end - from;
            }
            if c != Some('.') || end != at || at - from >= 190 {
                break;
            }
            at += 1;
            start = at;
        }
        if best == 0 {
            return Found::No;
        }
        Found::Yes { kind: Kind::Email, length: best, long: false }
    }

    // ---- keys

    fn key(&self, from: usize) -> Found {
        match self.chars[from] {
            's' => self.token(from, "sk-", 16, is_key_char, true),
            'x' => match self.at(from + 4) {
                Some('-') | None => self.token(from, "xox", 14, is_key_char, true),
                Some(_) => Found::No,
            },
            'A' => match self.at(from + 1) {
                None => self.cut(),
                Some('I') => self.token(from, "AIza", 30, is_key_char, false),
                Some('K') => self.token(from, "AKIA", 16, |c| c.is_ascii_uppercase() || c.is_ascii_digit(), false),
                Some('S') => self.token(from, "ASIA", 16, |c| c.is_ascii_uppercase() || c.is_ascii_digit(), false),
                Some(_) => Found::No,
            },
            'g' => match self.at(from + 2) {
                None if self.at(from + 1).map_or(true, |c| c == 'h' || c == 'i') => self.cut(),
                Some('t') => self.token(from, "github_pat_", 20, is_word_char, true),
                Some('p' | 'o' | 'u' | 's' | 'r') if self.at(from + 1) == Some('h') => match self.at(from + 3) {
                    None => self.cut(),
                    Some('_') => self.tail(from, 4, 20, is_word_char, true),
                    Some(_) => Found::No,
                },
                _ => Found::No,
            },
            'e' => self.jwt(from),
            _ => Found::No,
        }
    }

    fn token(&self, from: usize, prefix: &str, least: usize, inside: fn(char) -> bool, digit: bool) -> Found {
        for (index, wanted) in prefix.chars().enumerate() {
            match self.at(from + index) {
                None => return self.cut(),
                Some(c) if c != wanted => return Found::No,
                _ => {}
            }
        }
        self.tail(from, prefix.len(), least, inside, digit)
    }

    /// So many characters at least behind the prefix, with a digit among them if there must be one.
    fn tail(&self, from: usize, prefix: usize, least: usize, inside: fn(char) -> bool, digit: bool) -> Found {
        let mut end = from + prefix;
        let mut digits = false;
        loop {
            match self.at(end) {
                Some(c) if inside(c) && end - from < LONGEST => digits |= c.is_ascii_digit(),
                None if !self.ends && end - from < LONGEST => return Found::More,
                _ => break,
            }
            end += 1;
        }
        if end - from < prefix + least || (digit && !digits) {
            return Found::No;
        }
        Found::Yes { kind: Kind::Key, length: end - from, long: end - from == LONGEST }
    }

    /// Two parts that are the beginnings of objects in base64, and anything behind a second dot.
    fn jwt(&self, from: usize) -> Found {
        let mut end = from;
        for part in 0..2 {
            let start = end;
            loop {
                match self.at(end) {
                    Some(c) if (c.is_ascii_alphanumeric() || c == '-' || c == '_') && end - from < LONGEST => {
                        if end - start < 3 && c != ['e', 'y', 'J'][end - start] {
                            return Found::No;
                        }
                    }
                    None if !self.ends && end - from < LONGEST => return Found::More,
                    _ => break,
                }
                end += 1;
            }
            if end - start < 8 {
                return Found::No;
            }
            if part == 0 {
                if end - from == LONGEST || self.at(end) != Some('.') {
                    return Found::No;
                }
                end += 1;
            }
        }
        // The signature, if there is one, ends where nothing of a token follows.
        while end - from < LONGEST {
            match self.at(end) {
                Some(c) if is_key_char(c) => end += 1,
                None if !self.ends => return Found::More,
                _ => break,
            }
        }
        let mut length = end - from;
        if length < LONGEST {
            while self.chars[from + length - 1] == '.' {
                length -= 1;
            }
        }
        Found::Yes { kind: Kind::Key, length, long: length == LONGEST }
    }

    // ---- addresses of machines

    fn ip(&self, from: usize) -> Found {
        let mut end = from;
        let mut colons = 0;
        let mut dots = 0;
        loop {
            match self.at(end) {
                Some(':') => colons += 1,
                Some('.') => dots += 1,
                Some(c) if c.is_ascii_hexdigit() => {}
                None if !self.ends && end - from < 48 => return Found::More,
                _ => break,
            }
            end += 1;
            if end - from >= 48 {
                break;
            }
        }
        // A full stop, or a colon, behind it is not part of it; one more character says so.
        if self.at(end).map_or(false, |c| is_word(c)) {
            return Found::No;
        }
        while end > from && matches!(self.chars[end - 1], '.' | ':') && !(end - from >= 3 && self.chars[end - 1] == ':' && self.chars[end - 2] == ':') {
            if self.chars[end - 1] == '.' {
                dots -= 1;
            } else {
                colons -= 1;
            }
            end -= 1;
        }
        // A port.
        if colons == 1 {
            while self.chars[end - 1] != ':' {
                end -= 1;
            }
            end -= 1;
            colons = 0;
        }
        let text: String = self.chars[from..end].iter().collect();
        let is_ip = if colons == 0 {
            dots == 3 && self.back(from, 1) != '.' && text.parse::<std::net::Ipv4Addr>().is_ok()
        } else {
            colons > 1 && self.back(from, 1) != ':' && text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<std::net::Ipv6Addr>().is_ok()
        };
        if !is_ip {
            return Found::No;
        }
        Found::Yes { kind: Kind::Ip, length: end - from, long: false }
    }
}

pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (c > '\u{7f}' && is_letter(c))
}

/// Letters of the scripts that put spaces between words: others would be taken for a part of the address behind them.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || (('\u{c0}'..'\u{590}').contains(&c) && c != '\u{d7}' && c != '\u{f7}') || ('\u{1e00}'..'\u{2000}').contains(&c)
}

fn is_local(c: char) -> bool {
    is_letter(c) || c.is_ascii_digit() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '!' | '#' | '$' | '&' | '*' | '=' | '^' | '~')
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

pub fn is_key_char(c: char) -> bool {
    is_word_char(c) || c == '-' || c == '.'
}
