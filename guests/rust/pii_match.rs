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

/// Characters in front that are looked at, of those behind the last space, and the most behind that are.
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
    /// Where the characters begin and end of which a key could be, but for a digit, or a token, but for a dot.
    pub plain: [(usize, usize); 3],
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
        // Inside of a word nothing begins but the end of an address that is too long, and what is named, as in `card_4111…`.
        let before = self.back(from, 1);
        let named = before == '_';
        if is_word(before) && !named {
            return if local { self.email(from) } else { Found::No };
        }
        if c.is_ascii_alphabetic() {
            let key = if wants[Kind::Key as usize] { self.key(from) } else { Found::No };
            let found = if key == Found::No && wants[Kind::Iban as usize] { self.iban(from) } else { key };
            if found != Found::No {
                return found;
            }
        }
        if local {
            let found = self.email(from);
            if found != Found::No {
                return found;
            }
        }
        if wants[Kind::Ip as usize] && (c.is_ascii_digit() || (!named && (c.is_ascii_hexdigit() || c == ':'))) {
            let found = self.ip(from);
            if found != Found::No {
                return found;
            }
        }
        if c == '+' || c == '(' || (c.is_ascii_digit() && self.starts_number(from)) {
            // Numbers with a name, and decimals behind `0,`, are no telephones.
            let decimal = c == '0' && before == ',' && self.back(from, 2) == '0' && !self.back(from, 3).is_ascii_digit();
            let phone = wants[Kind::Phone as usize] && ((!named && !decimal) || c == '+');
            let numbers = [(Kind::Card, Self::card as fn(&Self, usize) -> Found), (Kind::Ssn, Self::ssn), (Kind::Phone, Self::phone)];
            for (kind, look) in numbers {
                let wanted = if kind == Kind::Phone { phone } else { wants[kind as usize] };
                let found = if wanted { look(self, from) } else { Found::No };
                if found != Found::No {
                    return found;
                }
            }
        }
        Found::No
    }

    /// Not behind a decimal point, or in the last groups of a UUID. A comma separates values rather than decimals.
    fn starts_number(&self, from: usize) -> bool {
        let (one, two) = (self.back(from, 1), self.back(from, 2));
        if one == '.' && two.is_ascii_digit() {
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

    fn key(&mut self, from: usize) -> Found {
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

    fn token(&mut self, from: usize, prefix: &str, least: usize, inside: fn(char) -> bool, digit: bool) -> Found {
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
    fn tail(&mut self, from: usize, prefix: usize, least: usize, inside: fn(char) -> bool, digit: bool) -> Found {
        let which = inside('-') as usize;
        let mut end = self.behind_plain(which, from + prefix, from);
        let mut digits = false;
        loop {
            match self.at(end) {
                Some(c) if inside(c) && end - from < LONGEST => digits |= c.is_ascii_digit(),
                None if !self.ends && end - from < LONGEST => return Found::More,
                _ => break,
            }
            end += 1;
        }
        if digit && !digits {
            self.plain[which] = (from + prefix, end);
            return Found::No;
        }
        if end - from < prefix + least {
            return Found::No;
        }
        Found::Yes { kind: Kind::Key, length: end - from, long: end - from == LONGEST }
    }

    /// Where to look on: what was looked at for what began before is not looked at again.
    fn behind_plain(&self, which: usize, start: usize, from: usize) -> usize {
        let (begin, end) = self.plain[which];
        if begin <= start && start < end {
            end.min(from + LONGEST)
        } else {
            start
        }
    }

    /// Two parts that are the beginnings of objects in base64, and anything behind a second dot.
    fn jwt(&mut self, from: usize) -> Found {
        let mut end = from;
        for part in 0..2 {
            let start = end;
            let begins = |at: usize| (0..3).all(|index| self.at(at + index) == Some(['e', 'y', 'J'][index]));
            if part == 0 && begins(start) {
                end = self.behind_plain(2, start, from);
            }
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
                    self.plain[2] = (from, end);
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
        // Behind a colon there is an address of four numbers, or nothing.
        let before = self.back(from, 1);
        if self.chars[from] == ':' && self.at(from + 1).map_or(self.ends, |c| c != ':') {
            return Found::No;
        }
        loop {
            match self.at(end) {
                Some(':') if before == ':' => break,
                Some(':') => colons += 1,
                Some('.') => dots += 1,
                Some(c) if c.is_ascii_hexdigit() => {}
                None if !self.ends && end - from < 48 => return Found::More,
                _ => break,
            }
            end += 1;
            if end - from >= 48 {
                if colons > 0 {
                    return Found::No;
                }
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
        if if colons == 0 { dots != 3 || before == '.' } else { colons < 2 } {
            return Found::No;
        }
        let text: String = self.chars[from..end].iter().collect();
        let is_ip = if colons == 0 {
            text.parse::<std::net::Ipv4Addr>().is_ok()
        } else {
            text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<std::net::Ipv6Addr>().is_ok()
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
