//! A copy of what a call is answered, if its token's calls are captured.

use futures_util::{StreamExt as _, stream};

use crate::{
    capture::Taking,
    relay::{Answer, AnswerBody},
};

/// An answer whose pieces are copied as they go out.
pub(super) fn copied(answer: Answer, mut taking: Taking) -> Answer {
    let Answer { status, headers, body } = answer;
    taking.answered(status, matches!(body, AnswerBody::Events(_)));
    let body = match body {
        AnswerBody::Whole(bytes) => {
            taking.piece(&bytes);
            taking.finished();
            AnswerBody::Whole(bytes)
        }
        AnswerBody::Events(events) => AnswerBody::Events(
            stream::unfold((events, taking), |(mut events, mut taking)| async move {
                match events.next().await {
                    Some(piece) => {
                        taking.piece(&piece);
                        Some((piece, (events, taking)))
                    }
                    None => {
                        taking.finished();
                        None
                    }
                }
            })
            .boxed(),
        ),
        AnswerBody::Bytes(pieces) => AnswerBody::Bytes(
            stream::unfold((pieces, taking), |(mut pieces, mut taking)| async move {
                match pieces.next().await {
                    Some(piece) => {
                        if let Ok(piece) = &piece {
                            taking.piece(piece);
                        }
                        Some((piece, (pieces, taking)))
                    }
                    None => {
                        taking.finished();
                        None
                    }
                }
            })
            .boxed(),
        ),
    };
    Answer { status, headers, body }
}
