#![no_main]

boltzdrift_fuzz::fuzz!("other");
