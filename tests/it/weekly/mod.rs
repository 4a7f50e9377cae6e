//! The weekly report over real records and through a running year: its figures against SQL, and that each
//! week is told once.

mod boston;
mod telling;
