//! Laws that every calendar keeps.
