//! Integration tests: everything here goes through the library's public doors.

mod calendar_model;
mod calendar_properties;
