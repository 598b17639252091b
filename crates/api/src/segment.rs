//! The files of a stream that only grows: when one is full the next is begun, and what is full
//! never changes again.

/// The most bytes of one file: quick to read whole, and few enough files for a long night.
pub const SEGMENT_BYTES: u64 = 4 << 20;

/// The name of a stream's file, counted from 0; the first has the stream's own name.
pub fn segment_name(stream: &str, number: u32) -> String {
    if number == 0 {
        return stream.to_owned();
    }
    match stream.rsplit_once('.') {
        Some((stem, kind)) => format!("{stem}.{number}.{kind}"),
        None => format!("{stream}.{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_has_the_streams_own_name() {
        let names = [0, 1, 12].map(|number| segment_name("events.jsonl", number));
        assert_eq!(names, ["events.jsonl", "events.1.jsonl", "events.12.jsonl"]);
        assert_eq!(segment_name("log", 3), "log.3");
    }
}
