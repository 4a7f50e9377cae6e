//! The one integration binary: every module here is a set of sentences about what tocsin does.

mod config_refused;
