//! Nine compute kernels without imports, for metering benchmarks; the same algorithms and checksums
//! as kernels.c and kernels.ts.

// ---- Shared: checksum and random numbers ----

const HASH_START: u32 = 2166136261;
const HASH_PRIME: u32 = 16777619;
const RANDOM_SEED: u32 = 2463534242;

fn mix(hash: u32, value: u32) -> u32 {
    (hash ^ value).wrapping_mul(HASH_PRIME)
}

fn mix_text(hash: u32, text: &str) -> u32 {
    text.bytes().fold(hash, |hash, byte| mix(hash, u32::from(byte)))
}

/// xorshift32
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        let mut x = self.0;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.0 = x;
        x
    }
}

// ---- sieve: primes below n ----

#[no_mangle]
pub extern "C" fn sieve(n: i32) -> i32 {
    let n = n as usize;
    let mut composite = vec![false; n];
    let mut count: u32 = 0;
    let mut sum: u32 = 0;
    for i in 2..n {
        if composite[i] {
            continue;
        }
        count += 1;
        sum = sum.wrapping_add(i as u32);
        if i > n / i {
            continue;
        }
        let mut j = i * i;
        while j < n {
            composite[j] = true;
            j += i;
        }
    }
    mix(sum, count) as i32
}

// ---- fib: the naive recursion ----

#[no_mangle]
pub extern "C" fn fib(n: i32) -> i32 {
    fib_recursive(n as u32) as i32
}

/// The mask keeps the sum from being turned into a loop by tail recursion elimination.
#[inline(never)]
fn fib_recursive(n: u32) -> u32 {
    if n < 2 {
        return n;
    }
    fib_recursive(n - 1).wrapping_add(fib_recursive(n - 2)) & 0x7fffffff
}

// ---- matmul: two n by n matrices of doubles ----

#[no_mangle]
pub extern "C" fn matmul(n: i32) -> i32 {
    let size = n as usize;
    let mut a = vec![0f64; size * size];
    let mut b = vec![0f64; size * size];
    let mut c = vec![0f64; size * size];
    for i in 0..n {
        for j in 0..n {
            let cell = (i * n + j) as usize;
            a[cell] = f64::from((i * 7 + j * 3) % 17 - 8);
            b[cell] = f64::from((i * 5 + j * 11) % 19 - 9);
        }
    }
    for i in 0..size {
        for j in 0..size {
            let mut sum = 0f64;
            for k in 0..size {
                sum += a[i * size + k] * b[k * size + j];
            }
            c[i * size + j] = sum;
        }
    }
    c.iter().fold(HASH_START, |hash, cell| mix(hash, *cell as i32 as u32)) as i32
}

// ---- mandelbrot: n by n points, at most 64 steps each ----

#[no_mangle]
pub extern "C" fn mandelbrot(n: i32) -> i32 {
    let size = f64::from(n);
    let mut hash = HASH_START;
    for y in 0..n {
        let ci = 2.0 * f64::from(y) / size - 1.0;
        for x in 0..n {
            hash = mix(hash, mandelbrot_steps(3.0 * f64::from(x) / size - 2.0, ci));
        }
    }
    hash as i32
}

fn mandelbrot_steps(cr: f64, ci: f64) -> u32 {
    let mut zr = 0f64;
    let mut zi = 0f64;
    let mut steps = 0;
    while steps < 64 && zr * zr + zi * zi <= 4.0 {
        let next = zr * zr - zi * zi + cr;
        zi = 2.0 * zr * zi + ci;
        zr = next;
        steps += 1;
    }
    steps
}

// ---- sha256: the first word of the digest of n random bytes ----

#[no_mangle]
pub extern "C" fn sha256(n: i32) -> i32 {
    let mut random = Random(RANDOM_SEED);
    let message: Vec<u8> = (0..n).map(|_| random.next() as u8).collect();
    let mut digest = Sha256::new();
    digest.update(&message);
    digest.finish();
    digest.state[0] as i32
}

#[rustfmt::skip]
const SHA256_CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

struct Sha256 {
    state: [u32; 8],
    length: u64,
    pending: [u8; 64],
}

impl Sha256 {
    fn new() -> Self {
        let state = [
            0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
        ];
        Sha256 { state, length: 0, pending: [0; 64] }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.length % 64 == 0 {
                break;
            }
            self.byte(*first);
            bytes = rest;
        }
        let blocks = bytes.chunks_exact(64);
        let rest = blocks.remainder();
        for block in blocks {
            self.block(block);
            self.length += 64;
        }
        for byte in rest {
            self.byte(*byte);
        }
    }

    fn finish(&mut self) {
        let bits = self.length * 8;
        self.byte(0x80);
        while self.length % 64 != 56 {
            self.byte(0);
        }
        for byte in bits.to_be_bytes() {
            self.byte(byte);
        }
    }

    fn byte(&mut self, value: u8) {
        self.pending[(self.length % 64) as usize] = value;
        self.length += 1;
        if self.length % 64 == 0 {
            let pending = self.pending;
            self.block(&pending);
        }
    }

    fn block(&mut self, block: &[u8]) {
        let mut words = [0u32; 64];
        for (i, word) in block.chunks_exact(4).enumerate() {
            words[i] = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        }
        for i in 16..64 {
            let x = words[i - 15];
            let y = words[i - 2];
            let s0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
            let s1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
            words[i] = words[i - 16].wrapping_add(s0).wrapping_add(words[i - 7]).wrapping_add(s1);
        }
        self.rounds(&words);
    }

    fn rounds(&mut self, words: &[u32; 64]) {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = self.state;
        for i in 0..64 {
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let t1 = h
                .wrapping_add(s1)
                .wrapping_add(choice)
                .wrapping_add(SHA256_CONSTANTS[i])
                .wrapping_add(words[i]);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let t2 = s0.wrapping_add((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d.wrapping_add(t1);
            d = c;
            c = b;
            b = a;
            a = t1.wrapping_add(t2);
        }
        for (state, value) in self.state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *state = state.wrapping_add(value);
        }
    }
}

// ---- json_parse: a text of n records into a tree, then a walk over the tree ----

enum Json {
    Null,
    False,
    True,
    Number(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

struct JsonParser<'a> {
    text: &'a [u8],
    at: usize,
}

impl JsonParser<'_> {
    fn value(&mut self) -> Json {
        self.skip_space();
        match self.peek() {
            b'n' => self.word("null", Json::Null),
            b'f' => self.word("false", Json::False),
            b't' => self.word("true", Json::True),
            b'"' => Json::String(self.string()),
            b'[' => self.array(),
            b'{' => self.object(),
            _ => Json::Number(self.number()),
        }
    }

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) {
        assert!(self.take() == byte);
    }

    fn word(&mut self, word: &str, value: Json) -> Json {
        for byte in word.bytes() {
            self.expect(byte);
        }
        value
    }

    fn array(&mut self) -> Json {
        let mut members = Vec::new();
        self.members(b']', |parser| members.push(parser.value()));
        Json::Array(members)
    }

    fn object(&mut self) -> Json {
        let mut members = Vec::new();
        self.members(b'}', |parser| {
            let key = parser.string();
            parser.skip_space();
            parser.expect(b':');
            members.push((key, parser.value()));
        });
        Json::Object(members)
    }

    fn members(&mut self, close: u8, mut member: impl FnMut(&mut Self)) {
        self.at += 1;
        self.skip_space();
        if self.peek() == close {
            self.at += 1;
            return;
        }
        loop {
            self.skip_space();
            member(self);
            self.skip_space();
            if self.peek() == close {
                break;
            }
            self.expect(b',');
        }
        self.at += 1;
    }

    fn string(&mut self) -> String {
        self.expect(b'"');
        let mut out = Vec::new();
        loop {
            match self.take() {
                0 => panic!(),
                b'"' => return String::from_utf8(out).unwrap(),
                b'\\' => self.escape(&mut out),
                byte => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        match self.take() {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            byte @ (b'"' | b'\\' | b'/') => out.push(byte),
            b'u' => {
                let code = char::from_u32(self.hex4()).unwrap();
                out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => panic!(),
        }
    }

    fn hex4(&mut self) -> u32 {
        (0..4).fold(0, |code, _| code * 16 + char::from(self.take()).to_digit(16).unwrap())
    }

    fn number(&mut self) -> f64 {
        let mut sign = 1f64;
        if self.peek() == b'-' {
            sign = -1f64;
            self.at += 1;
        }
        let mut value = 0f64;
        let mut exponent = 0;
        let mut step = 0;
        loop {
            match self.peek() {
                b'.' => step = 1,
                digit @ b'0'..=b'9' => {
                    value = value * 10.0 + f64::from(digit - b'0');
                    exponent -= step;
                }
                _ => break,
            }
            self.at += 1;
        }
        if matches!(self.peek(), b'e' | b'E') {
            exponent += self.exponent();
        }
        while exponent > 0 {
            value *= 10.0;
            exponent -= 1;
        }
        while exponent < 0 {
            value /= 10.0;
            exponent += 1;
        }
        sign * value
    }

    fn exponent(&mut self) -> i32 {
        self.at += 1;
        let mut sign = 1;
        if let c @ (b'-' | b'+') = self.peek() {
            if c == b'-' {
                sign = -1;
            }
            self.at += 1;
        }
        let mut exponent = 0;
        while let digit @ b'0'..=b'9' = self.peek() {
            exponent = exponent * 10 + i32::from(digit - b'0');
            self.at += 1;
        }
        sign * exponent
    }
}

fn json_record(i: u32) -> String {
    format!(
        "{{\"id\": {}, \"name\": \"item {}\", \"price\": {}.{}, \"delta\": -{}e-1, \"tags\": [\"t{}\", \
         \"two\\nlines\", \"\\u0041 \\\"quote\\\"\"], \"active\": {}, \"parent\": null}}",
        i,
        i.wrapping_mul(7),
        i % 1000,
        10 + i % 90,
        i % 50,
        i % 7,
        i % 3 == 0,
    )
}

fn json_checksum(hash: u32, value: &Json) -> u32 {
    match value {
        Json::Null => mix(hash, 0),
        Json::False => mix(hash, 1),
        Json::True => mix(hash, 2),
        Json::Number(number) => mix(mix(hash, 3), (number * 100.0) as i32 as u32),
        Json::String(text) => mix_text(mix(mix(hash, 4), text.len() as u32), text),
        Json::Array(members) => {
            let hash = mix(mix(hash, 5), members.len() as u32);
            members.iter().fold(hash, json_checksum)
        }
        Json::Object(members) => {
            let hash = mix(mix(hash, 6), members.len() as u32);
            members
                .iter()
                .fold(hash, |hash, (key, member)| json_checksum(mix_text(hash, key), member))
        }
    }
}

#[no_mangle]
pub extern "C" fn json_parse(n: i32) -> i32 {
    let records: Vec<String> = (0..n as u32).map(json_record).collect();
    let text = format!("[{}]", records.join(",\n"));
    let mut parser = JsonParser { text: text.as_bytes(), at: 0 };
    json_checksum(HASH_START, &parser.value()) as i32
}

// ---- regex: Thompson's matcher, four patterns over n generated log lines ----

/// Jumps are relative, so that code can be moved when an operator follows its operand.
#[derive(Clone, Copy)]
enum Instruction {
    Byte(u8),
    Any,
    Class(usize),
    Split(i32, i32),
    Jump(i32),
    Match,
}

struct Compiler<'a> {
    pattern: &'a [u8],
    at: usize,
    code: Vec<Instruction>,
    classes: Vec<[bool; 256]>,
}

impl Compiler<'_> {
    fn alternatives(&mut self) {
        let start = self.code.len();
        while !matches!(self.peek(), 0 | b')' | b'|') {
            self.repeat();
        }
        if self.peek() != b'|' {
            return;
        }
        self.at += 1;
        let skip = (self.code.len() - start + 2) as i32;
        self.code.insert(start, Instruction::Split(1, skip));
        let jump = self.code.len();
        self.code.push(Instruction::Jump(0));
        self.alternatives();
        self.code[jump] = Instruction::Jump((self.code.len() - jump) as i32);
    }

    fn repeat(&mut self) {
        let start = self.code.len();
        self.atom();
        let length = (self.code.len() - start) as i32;
        match self.peek() {
            b'*' => {
                self.code.insert(start, Instruction::Split(1, length + 2));
                self.code.push(Instruction::Jump(-(length + 1)));
            }
            b'+' => self.code.push(Instruction::Split(-length, 1)),
            b'?' => self.code.insert(start, Instruction::Split(1, length + 1)),
            _ => return,
        }
        self.at += 1;
    }

    fn atom(&mut self) {
        match self.take() {
            b'(' => {
                self.alternatives();
                self.at += 1;
            }
            b'[' => self.class(),
            b'.' => self.code.push(Instruction::Any),
            b'\\' => {
                let byte = self.take();
                self.code.push(Instruction::Byte(byte));
            }
            byte => self.code.push(Instruction::Byte(byte)),
        }
    }

    fn class(&mut self) {
        let mut set = [false; 256];
        while self.peek() != b']' {
            let from = self.take();
            let mut to = from;
            if self.peek() == b'-' {
                self.at += 1;
                to = self.take();
            }
            for byte in from..=to {
                set[usize::from(byte)] = true;
            }
        }
        self.at += 1;
        self.code.push(Instruction::Class(self.classes.len()));
        self.classes.push(set);
    }

    fn peek(&self) -> u8 {
        self.pattern.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }
}

struct Regex {
    code: Vec<Instruction>,
    classes: Vec<[bool; 256]>,
    /// The position at which each instruction was last added, plus one.
    seen: Vec<usize>,
    now: Vec<usize>,
    then: Vec<usize>,
}

impl Regex {
    fn new(pattern: &str) -> Self {
        let mut compiler = Compiler { pattern: pattern.as_bytes(), at: 0, code: Vec::new(), classes: Vec::new() };
        compiler.alternatives();
        compiler.code.push(Instruction::Match);
        let seen = vec![0; compiler.code.len()];
        Regex { code: compiler.code, classes: compiler.classes, seen, now: Vec::new(), then: Vec::new() }
    }

    /// Where the match that ends first ends, or -1.
    fn search(&mut self, text: &[u8]) -> i32 {
        self.seen.fill(0);
        self.now.clear();
        for at in 0..=text.len() {
            add(&self.code, &mut self.seen, &mut self.now, 0, at + 1);
            self.then.clear();
            for &thread in &self.now {
                let instruction = self.code[thread];
                if let Instruction::Match = instruction {
                    return at as i32;
                }
                if at < text.len() && accepts(&self.classes, instruction, text[at]) {
                    add(&self.code, &mut self.seen, &mut self.then, thread + 1, at + 2);
                }
            }
            std::mem::swap(&mut self.now, &mut self.then);
        }
        -1
    }
}

fn add(code: &[Instruction], seen: &mut [usize], threads: &mut Vec<usize>, at: usize, mark: usize) {
    if seen[at] == mark {
        return;
    }
    seen[at] = mark;
    match code[at] {
        Instruction::Jump(to) => add(code, seen, threads, offset(at, to), mark),
        Instruction::Split(first, second) => {
            add(code, seen, threads, offset(at, first), mark);
            add(code, seen, threads, offset(at, second), mark);
        }
        _ => threads.push(at),
    }
}

fn offset(at: usize, by: i32) -> usize {
    (at as i32 + by) as usize
}

fn accepts(classes: &[[bool; 256]], instruction: Instruction, byte: u8) -> bool {
    match instruction {
        Instruction::Byte(wanted) => wanted == byte,
        Instruction::Any => true,
        Instruction::Class(class) => classes[class][usize::from(byte)],
        _ => false,
    }
}

fn letters(line: &mut String, random: &mut Random, count: u32, alphabet: u32) {
    for _ in 0..count {
        line.push(char::from(b'a' + (random.next() % alphabet) as u8));
    }
}

fn log_line(line: &mut String, random: &mut Random) {
    line.clear();
    line.push_str(["GET", "POST", "PUT"][(random.next() % 3) as usize]);
    line.push_str(" /");
    let length = 3 + random.next() % 8;
    letters(line, random, length, 26);
    line.push_str("?id=");
    line.push_str(&(random.next() % 10000).to_string());
    line.push(' ');
    line.push_str(["200", "404", "503"][(random.next() % 3) as usize]);
    line.push(' ');
    letters(line, random, 4, 26);
    line.push('@');
    letters(line, random, 5, 26);
    line.push('.');
    line.push_str(["com", "org", "io"][(random.next() % 3) as usize]);
    line.push(' ');
    letters(line, random, 12, 2);
}

#[no_mangle]
pub extern "C" fn regex(n: i32) -> i32 {
    let mut programs = [
        Regex::new("(GET|POST) /[a-z]*\\?id=[0-9]+ "),
        Regex::new("[a-z]+@[a-z]+\\.(com|org)"),
        Regex::new(" 5[0-9][0-9] .*b?a"),
        Regex::new("(a|b)*abb(ab)+"),
    ];
    let mut random = Random(RANDOM_SEED);
    let mut hash = HASH_START;
    let mut line = String::new();
    for _ in 0..n {
        log_line(&mut line, &mut random);
        for program in &mut programs {
            hash = mix(hash, program.search(line.as_bytes()) as u32);
        }
    }
    hash as i32
}

// ---- sort: quicksort of n random integers ----

#[no_mangle]
pub extern "C" fn sort(n: i32) -> i32 {
    let mut random = Random(RANDOM_SEED);
    let mut values: Vec<i32> = (0..n).map(|_| random.next() as i32).collect();
    quicksort(&mut values, 0, n as isize - 1);
    values.iter().fold(HASH_START, |hash, value| mix(hash, *value as u32)) as i32
}

fn quicksort(values: &mut [i32], low: isize, high: isize) {
    if high - low < 16 {
        insertion_sort(values, low, high);
        return;
    }
    let pivot = values[(low + (high - low) / 2) as usize];
    let mut i = low;
    let mut j = high;
    while i <= j {
        while values[i as usize] < pivot {
            i += 1;
        }
        while values[j as usize] > pivot {
            j -= 1;
        }
        if i > j {
            break;
        }
        values.swap(i as usize, j as usize);
        i += 1;
        j -= 1;
    }
    quicksort(values, low, j);
    quicksort(values, i, high);
}

fn insertion_sort(values: &mut [i32], low: isize, high: isize) {
    for i in low + 1..=high {
        let value = values[i as usize];
        let mut j = i - 1;
        while j >= low && values[j as usize] > value {
            values[j as usize + 1] = values[j as usize];
            j -= 1;
        }
        values[(j + 1) as usize] = value;
    }
}

// ---- string_build: n short strings joined into lines, each line hashed ----

#[no_mangle]
pub extern "C" fn string_build(n: i32) -> i32 {
    let mut random = Random(RANDOM_SEED);
    let mut hash = HASH_START;
    let mut line = String::new();
    for i in 0..n {
        line.push_str(&format!("item-{}:{};", i, random.next()));
        if line.len() < 256 {
            continue;
        }
        hash = mix_text(hash, &line);
        line.clear();
    }
    mix_text(hash, &line) as i32
}
