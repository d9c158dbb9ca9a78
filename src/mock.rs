//! A GoTrue to test against.
