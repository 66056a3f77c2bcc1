use super::*;
use crate::{
    model::{channel::HeaderValue, key::PastedKey},
    storage::{channels::NewChannel, settle, tokens::NewToken},
};
