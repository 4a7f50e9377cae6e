//! The integration tests, one binary. Each module is about one thing; each test is a sentence.

mod kit;
mod law;
