//! Personal data that is numbers: accounts, cards, social security, telephones.
use crate::pii_match::{is_word, Found, Kind, Window};

impl Window<'_> {
    /// As many characters as the country says, with single spaces or hyphens between, whose remainder by 97 is 1 (ISO 13616).
    pub fn iban(&self, from: usize) -> Found {
        let mut letters = ['A'; 2];
        for (index, letter) in letters.iter_mut().enumerate() {
            match self.at(from + index) {
                None => return self.cut(),
                Some(c) if c.is_ascii_alphabetic() => *letter = c.to_ascii_uppercase(),
                Some(_) => return Found::No,
            }
        }
        let wanted = match iban_length(letters) {
            Some(length) => length,
            None => return Found::No,
        };
        let mut taken = Vec::with_capacity(34);
        let mut at = from;
        while taken.len() < wanted {
            match self.at(at) {
                None => return self.cut(),
                Some(c) if c.is_ascii_alphanumeric() => {
                    if (2..4).contains(&taken.len()) && !c.is_ascii_digit() {
                        return Found::No;
                    }
                    taken.push(c);
                }
                Some(' ' | '-' | '\u{a0}') if taken.len() >= 2 && is_word(self.chars[at - 1]) => {}
                Some(_) => return Found::No,
            }
            at += 1;
        }
        match self.at(at) {
            None if !self.ends => return Found::More,
            Some(c) if is_word(c) => return Found::No,
            _ => {}
        }
        let rest = taken[4..].iter().chain(&taken[..4]).fold(0u32, |rest, c| {
            let digit = c.to_digit(36).unwrap_or(0);
            (rest * if digit > 9 { 100 } else { 10 } + digit) % 97
        });
        if rest == 1 {
            Found::Yes { kind: Kind::Iban, length: at - from, long: false }
        } else {
            Found::No
        }
    }

    /// 13 to 19 digits with single spaces or hyphens between, beginning with 2 to 6, whose check digit is right (ISO 7812).
    pub fn card(&self, from: usize) -> Found {
        if !('2'..='6').contains(&self.chars[from]) {
            return Found::No;
        }
        let mut digits: Vec<u32> = Vec::with_capacity(20);
        let mut best = 0;
        let mut at = from;
        loop {
            match self.at(at) {
                Some(c) if c.is_ascii_digit() => digits.push(c as u32 - 48),
                Some(' ' | '-' | '\u{a0}') if self.chars[at - 1].is_ascii_digit() => {}
                None if !self.ends => return Found::More,
                _ => break,
            }
            at += 1;
            if digits.len() > 19 {
                break;
            }
            let whole = match self.at(at) {
                Some(c) => !is_word(c),
                None if self.ends => true,
                None => return Found::More,
            };
            if whole && self.chars[at - 1].is_ascii_digit() && digits.len() >= 13 && luhn(&digits) {
                best = at - from;
            }
        }
        if best == 0 {
            return Found::No;
        }
        Found::Yes { kind: Kind::Card, length: best, long: false }
    }

    /// `ddd-dd-dddd`, with numbers that the administration gives out.
    pub fn ssn(&self, from: usize) -> Found {
        let mut numbers = [0u32; 3];
        let mut at = from;
        for (part, size) in [3, 2, 4].iter().enumerate() {
            if part > 0 {
                match self.at(at) {
                    None => return self.cut(),
                    Some('-' | ' ' | '\u{2011}' | '\u{2013}') => at += 1,
                    Some(_) => return Found::No,
                }
            }
            for _ in 0..*size {
                match self.at(at).map(|c| c.to_digit(10)) {
                    None => return self.cut(),
                    Some(None) => return Found::No,
                    Some(Some(digit)) => numbers[part] = numbers[part] * 10 + digit,
                }
                at += 1;
            }
        }
        match self.at(at) {
            None if !self.ends => return Found::More,
            Some(c) if is_word(c) => return Found::No,
            _ => {}
        }
        let [area, group, serial] = numbers;
        if area == 0 || area == 666 || area >= 900 || group == 0 || serial == 0 {
            return Found::No;
        }
        Found::Yes { kind: Kind::Ssn, length: 11, long: false }
    }

    /// `+` and 8 to 15 digits; 0 and 9 to 14 digits, in groups or not; or 3-3-4 digits of North America, with separators.
    pub fn phone(&self, from: usize) -> Found {
        let mut digits: Vec<u32> = Vec::with_capacity(16);
        // Digits of each group, and where the group ends.
        let mut groups: Vec<(usize, usize)> = Vec::with_capacity(8);
        let mut at = from;
        let mut separators = 0;
        let mut dots = false;
        loop {
            match self.at(at) {
                Some(c) if c.is_ascii_digit() => {
                    if separators > 0 || groups.is_empty() {
                        groups.push((0, 0));
                    }
                    separators = 0;
                    digits.push(c as u32 - 48);
                    if let Some(group) = groups.last_mut() {
                        *group = (group.0 + 1, at + 1);
                    }
                }
                Some('+') if at == from => {}
                Some(c) if is_separator(c) && separators < 3 => {
                    separators += 1;
                    dots |= c == '.' && groups.len() == 1 && groups[0].0 == 1;
                }
                None if !self.ends => return Found::More,
                _ => break,
            }
            at += 1;
            if digits.len() > 16 || at - from > 40 {
                break;
            }
        }
        // A longer number is none, unless it ends in front of a group that is not part of it.
        while let Some((_, end)) = groups.last() {
            let whole = self.at(*end).map_or(true, |c| !is_word(c));
            if whole && self.is_phone(from, &digits, &groups, dots) {
                return Found::Yes { kind: Kind::Phone, length: end - from, long: false };
            }
            let (size, _) = groups.pop().unwrap_or_default();
            digits.truncate(digits.len() - size);
        }
        Found::No
    }

    fn is_phone(&self, from: usize, digits: &[u32], groups: &[(usize, usize)], dots: bool) -> bool {
        let count = digits.len();
        // A bracket that is not closed behind the first group is the text's own.
        if self.chars[from] == '(' && self.at(groups[0].1) != Some(')') {
            return false;
        }
        if self.chars[from] == '+' {
            return (8..=15).contains(&count) && digits[0] != 0;
        }
        let sizes: Vec<usize> = groups.iter().map(|(size, _)| *size).collect();
        let national = match sizes.as_slice() {
            [1, 3, 3, 4] => digits[0] == 1 && digits[1] > 1,
            [3, 3, 4] => digits[0] > 1,
            _ => false,
        };
        if national {
            return true;
        }
        if digits.first() != Some(&0) || dots || !(9..=14).contains(&count) {
            return false;
        }
        // 01.02.2024 and what follows; a run of nothing but noughts.
        let date = sizes.len() > 2 && sizes[0] == 2 && sizes[1] == 2 && matches!(sizes[2], 2 | 4);
        let lead = if digits[1] == 0 { 2 } else { 1 };
        !(date && matches!(self.at(groups[0].1), Some('.' | '/' | '-')) && digits[..2] != [0, 0]) && digits[lead] != 0
    }
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match index % 2 {
            0 => *digit,
            _ if *digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum % 10 == 0
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{202f}' | '\u{2010}' | '\u{2011}' | '\u{2013}')
}

/// Lengths by country, from the registry of ISO 13616.
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22\
GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24\
PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

pub fn iban_length(country: [char; 2]) -> Option<usize> {
    IBAN_LENGTHS
        .as_bytes()
        .chunks(4)
        .find(|entry| char::from(entry[0]) == country[0] && char::from(entry[1]) == country[1])
        .map(|entry| (entry[2] - 48) as usize * 10 + (entry[3] - 48) as usize)
}
