//! Personal data that is numbers: accounts, cards, social security, telephones.
use crate::pii_match::{is_word, Found, Kind, Window};
use crate::pii_text::is_separator;

impl Window<'_> {
    /// As many characters as the country says, with up to two separators between, whose remainder by 97 is 1 (ISO 13616).
    pub fn iban(&self, from: usize) -> Found {
        let mut letters = ['A'; 2];
        for (index, letter) in letters.iter_mut().enumerate() {
            match self.at(from + index) {
                None => return self.cut(),
                Some(c) if c.is_ascii_alphabetic() => *letter = c.to_ascii_uppercase(),
                Some(_) => return Found::No,
            }
        }
        // Words, that is most of what begins with two letters.
        if self.at(from + 2).map_or(false, |c| c.is_alphabetic()) {
            return Found::No;
        }
        let wanted = match iban_length(letters) {
            Some(length) => length,
            None => return Found::No,
        };
        let mut taken = Vec::with_capacity(34);
        let mut gap = Gap::default();
        let mut at = from;
        while taken.len() < wanted {
            match self.at(at) {
                None => return self.cut(),
                Some(c) if c.is_ascii_alphanumeric() => {
                    if (2..4).contains(&taken.len()) && !c.is_ascii_digit() {
                        return Found::No;
                    }
                    gap.over();
                    taken.push(c);
                }
                Some(c) if taken.len() >= 2 && gap.takes(c) => {}
                Some(_) => return Found::No,
            }
            at += 1;
        }
        match self.at(at) {
            None if !self.ends => return Found::More,
            Some(c) if goes_on(c) => return Found::No,
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

    /// 13 to 19 digits that begin with 22 to 69, whose check digit is right (ISO 7812). Between them are single spaces and
    /// hyphens; or up to two separators, if the groups are those of cards.
    pub fn card(&self, from: usize) -> Found {
        if !('2'..='6').contains(&self.chars[from]) {
            return Found::No;
        }
        let mut count = 0;
        // With the last digit as it is, and with it doubled.
        let mut sums = (0, 0);
        let mut groups = [0; 20];
        let mut group = 0;
        let mut gap = Gap::default();
        let mut best = 0;
        let mut at = from;
        while count < 19 {
            match self.at(at) {
                Some(c) if c.is_ascii_digit() => {
                    if gap.over() {
                        group += 1;
                    }
                    let digit = c as usize - 48;
                    sums = (sums.1 + digit, sums.0 + if digit > 4 { digit * 2 - 9 } else { digit * 2 });
                    count += 1;
                    groups[group] += 1;
                    // Years and times are no cards.
                    if count == 2 && self.chars[from] == '2' && !('2'..='7').contains(&c) {
                        return Found::No;
                    }
                }
                Some(c) if gap.takes(c) => {
                    at += 1;
                    continue;
                }
                None if !self.ends => return Found::More,
                _ => break,
            }
            at += 1;
            if count < 13 {
                continue;
            }
            let whole = match self.at(at) {
                Some(c) => !goes_on(c),
                None if self.ends => true,
                None => return Found::More,
            };
            if whole && sums.0 % 10 == 0 && (gap.plain || is_card(&groups[..=group])) {
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
                    Some(c) if is_separator(c) => at += 1,
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
            Some(c) if goes_on(c) => return Found::No,
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
        let mut digits = [0u8; 17];
        let mut count = 0;
        // Digits of each group, and where the group ends.
        let mut groups = [(0usize, 0usize); 17];
        let mut made = 0;
        let mut at = from;
        let mut separators = 0;
        let mut dots = false;
        loop {
            match self.at(at) {
                Some(c) if c.is_ascii_digit() => {
                    if separators > 0 || made == 0 {
                        made += 1;
                    }
                    separators = 0;
                    digits[count] = c as u8 - 48;
                    count += 1;
                    groups[made - 1] = (groups[made - 1].0 + 1, at + 1);
                    // A number without a country or a nought in front has groups of its own.
                    if self.chars[from] != '+' && digits[0] != 0 && !could_be_national(&digits, &groups[..made]) {
                        made -= 1;
                        count -= groups[made].0;
                        break;
                    }
                }
                Some('+') if at == from => {}
                Some(c) if separators < 3 && is_separator(c) => {
                    separators += 1;
                    dots |= c == '.' && made == 1 && groups[0].0 == 1;
                }
                None if !self.ends => return Found::More,
                _ => break,
            }
            at += 1;
            if count > 16 || at - from > 40 {
                break;
            }
        }
        // A longer number is none, unless it ends in front of a group that is not part of it.
        while made > 0 {
            let (size, end) = groups[made - 1];
            let whole = self.at(end).map_or(true, |c| !is_word(c));
            if whole && self.is_phone(from, &digits[..count], &groups[..made], dots) {
                return Found::Yes { kind: Kind::Phone, length: end - from, long: false };
            }
            made -= 1;
            count -= size;
        }
        Found::No
    }

    fn is_phone(&self, from: usize, digits: &[u8], groups: &[(usize, usize)], dots: bool) -> bool {
        let count = digits.len();
        // A bracket that is not closed behind the first group is the text's own.
        if self.chars[from] == '(' && self.at(groups[0].1) != Some(')') {
            return false;
        }
        if self.chars[from] == '+' {
            return (8..=15).contains(&count) && digits[0] != 0;
        }
        if digits[0] != 0 {
            return matches!(groups.len(), 3 | 4) && groups[groups.len() - 1].0 == 4 && could_be_national(digits, groups);
        }
        if dots || !(9..=14).contains(&count) {
            return false;
        }
        // 01.02.2024 and what follows; a run of nothing but noughts.
        let date = groups.len() > 2 && groups[0].0 == 2 && groups[1].0 == 2 && matches!(groups[2].0, 2 | 4);
        let lead = if digits[1] == 0 { 2 } else { 1 };
        !(date && matches!(self.at(groups[0].1), Some('.' | '/' | '-')) && digits[..2] != [0, 0]) && digits[lead] != 0
    }
}

/// The beginning of 3-3-4 digits, or of 1-3-3-4.
fn could_be_national(digits: &[u8], groups: &[(usize, usize)]) -> bool {
    let sizes: &[usize] = if groups[0].0 == 1 { &[1, 3, 3, 4] } else { &[3, 3, 4] };
    let last = groups.len() - 1;
    let fits = groups.len() <= sizes.len() && groups[last].0 <= sizes[last] && (0..last).all(|index| groups[index].0 == sizes[index]);
    fits && match (groups[0].0, groups.len()) {
        (1, 1) => true,
        (1, _) => digits[0] == 1 && digits[1] > 1,
        _ => digits[0] > 1,
    }
}

/// 4-4-4-4 and what there may be more, 4-6-5 or 4-6-4.
fn is_card(groups: &[usize]) -> bool {
    match groups {
        [4, 6, 4 | 5] => true,
        [first @ .., last] => first.iter().all(|size| *size == 4) && *last <= 4,
        [] => false,
    }
}

/// True if a number is longer than what was looked at: what is named behind it is not part of it.
fn goes_on(c: char) -> bool {
    c != '_' && is_word(c)
}

/// What is between the digits of cards and accounts: two separators at most, of which one breaks the line.
struct Gap {
    width: usize,
    breaks: usize,
    /// All were single spaces and hyphens.
    plain: bool,
}

impl Default for Gap {
    fn default() -> Gap {
        Gap { width: 0, breaks: 0, plain: true }
    }
}

impl Gap {
    fn takes(&mut self, c: char) -> bool {
        if self.width == 2 || !(is_separator(c) || matches!(c, '\t' | '\r' | '\n')) || (c == '\n' && self.breaks == 1) {
            return false;
        }
        self.width += 1;
        self.breaks += (c == '\n') as usize;
        self.plain &= self.width == 1 && matches!(c, ' ' | '-' | '\u{a0}' | '\u{202f}' | '\u{2011}');
        true
    }

    /// A digit follows: true if there was something in between.
    fn over(&mut self) -> bool {
        let was = self.width > 0;
        self.width = 0;
        was
    }
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
