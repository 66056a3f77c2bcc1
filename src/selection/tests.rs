//! How chains are built from what a database holds.
