//! Every kind of input that nobody vouches for: small good ones, those that fuzzing found, and some thousand mutations of
//! them, always the same. `fuzz/README.md` has the long runs.
// A failed expectation is what a test is for; the C ABI is called as a foreign caller does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)]

mod fuzz_targets;
mod untrained;

use std::time::Instant;

use boltzdrift::sampler::noise::{Purpose, Stream};
use fuzz_targets::{seeds, TARGETS};

/// The most memory that the whole test may take beyond what it began with, and the longest that one input may take, in seconds.
const MOST_MEMORY: usize = 1 << 30;
const LONGEST: f64 = 10.0;

/// Processor time of the process in seconds; none where the system does not say. Other programs do not count.
fn busy() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything: user and system time in hundredths of a second.
    let times: Vec<f64> = text
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse().ok())
        .collect();
    Some(times.iter().sum::<f64>() / 100.0)
}

/// The most memory that the process has had in bytes; none where the system does not say.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()? * 1024)
}

/// A few changes: bytes, cuts, repeats, numbers, pieces of another input.
fn mutated(stream: &mut Stream, from: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = from[stream.below(from.len())].clone();
    for _ in 0..=stream.below(4) {
        let at = stream.below(bytes.len() + 1);
        let end = at + stream.below((bytes.len() - at).min(16) + 1);
        match stream.below(8) {
            0 if at < bytes.len() => bytes[at] = stream.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << stream.below(8),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + stream.below(40)));
            }
            5 => {
                let words = [
                    "nan",
                    "1e999",
                    "-1",
                    "18446744073709551616",
                    "0",
                    "\0",
                    "\n",
                    "((",
                    "\"",
                    "é",
                    "{",
                    "[[",
                ];
                bytes.splice(at..end, words[stream.below(words.len())].bytes());
            }
            6 if at + 8 <= bytes.len() => {
                let extremes =
                    [0, 1, u64::MAX, u64::MAX >> 1, 1 << 32, f64::NAN.to_bits(), f64::MAX.to_bits()];
                bytes[at..at + 8].copy_from_slice(&extremes[stream.below(extremes.len())].to_le_bytes());
            }
            _ => {
                let other = &from[stream.below(from.len())];
                let start = stream.below(other.len() + 1);
                let stop = start + stream.below((other.len() - start).min(64) + 1);
                bytes.splice(at..end, other[start..stop].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn hostile_input_is_refused() {
    let count: u64 = std::env::var("BOLTZDRIFT_FUZZ").map_or(1000, |count| count.parse().unwrap());
    let only = std::env::var("BOLTZDRIFT_FUZZ_ONLY").ok();
    let before = peak();
    for (number, target) in TARGETS.iter().enumerate() {
        if only.as_deref().is_some_and(|only| only != target.name) {
            continue;
        }
        let mut from = (target.seeds)();
        assert!(!from.is_empty() && from.iter().all(|seed| !seed.is_empty()), "{}: no seeds", target.name);
        from.extend(seeds::found(target.name));
        let start = Instant::now();
        let run = |input: &[u8]| {
            let start = busy();
            (target.run)(input);
            if let (Some(start), Some(end)) = (start, busy()) {
                assert!(end - start < LONGEST, "{}: {} s for {input:?}", target.name, end - start);
            }
        };
        from.iter().for_each(|seed| run(seed));
        for k in 0..count {
            run(&mutated(&mut Stream::new(number as u64, Purpose::Data, k), &from));
        }
        println!(
            "{}: {} seeds, {count} mutations, {:.1} s",
            target.name,
            from.len(),
            start.elapsed().as_secs_f64()
        );
    }
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after < before + MOST_MEMORY, "{} MiB", after >> 20);
    }
}
