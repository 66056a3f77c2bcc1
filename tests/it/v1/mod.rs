//! The endpoints of clients.

mod faults;
