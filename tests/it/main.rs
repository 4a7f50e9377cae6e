//! The one integration binary: every module here is a set of sentences about what tocsin does.
//! `tests/run` starts the servers that it needs.

mod real_data;
mod support;
mod tidy;
