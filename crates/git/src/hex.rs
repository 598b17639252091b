//! Bytes as lower-case hex digits.

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_digits_are_there() {
        assert_eq!(super::hex(&[0, 0xaf, 7]), "00af07");
    }
}
