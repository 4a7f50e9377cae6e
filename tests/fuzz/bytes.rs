//! Bytes as choices: what a fuzzer changes a little, changes a little of what is made of it.

/// Hands out bytes until they are used up.
pub struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Bytes(bytes)
    }

    pub fn one(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number of eight bytes; what is missing at the end is 0.
    pub fn number(&mut self) -> Option<i64> {
        let mut number = [0; 8];
        number[0] = self.one()?;
        number[1..].fill_with(|| self.one().unwrap_or(0));
        Some(i64::from_le_bytes(number))
    }

    pub fn one_of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        self.one().map(|at| list[usize::from(at) % list.len()])
    }

    /// As many bytes as the next one says, at most.
    pub fn some(&mut self) -> &'b [u8] {
        let length = usize::from(self.one().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    pub fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }
}

/// ASCII as it is; every other byte stands for one of the pieces.
pub fn text(bytes: &[u8], pieces: &[&str]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte.checked_sub(128) {
            None => text.push(char::from(*byte)),
            Some(at) => text.push_str(pieces[usize::from(at) % pieces.len()]),
        }
    }
    text
}

/// A text with pieces put in, cut out and put in the place of others.
pub fn scrambled(base: &str, bytes: &mut Bytes<'_>, pieces: &[&str]) -> String {
    let mut text_bytes = base.as_bytes().to_vec();
    while let (Some(high), Some(low), Some(cut)) = (bytes.one(), bytes.one(), bytes.one()) {
        let at = usize::from(u16::from_be_bytes([high, low])) % (text_bytes.len() + 1);
        let until = (at + usize::from(cut % 64)).min(text_bytes.len());
        drop(text_bytes.splice(at..until, text(bytes.some(), pieces).into_bytes()));
    }
    String::from_utf8_lossy(&text_bytes).into_owned()
}
