//! Adapters that turn what people write into the core's types, once, when a configuration loads.

pub mod calendar;
pub mod packs;
pub mod vocabulary;
pub mod when;
