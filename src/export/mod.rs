//! Configuration files of clients, made from the catalog. Pure: no clock, no network, no database.

pub mod openclaw;
