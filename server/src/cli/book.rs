//! `enrol-code` and `book`: how phones come and go, by the operator at the machine.

use beatbook_protocol::id::BookId;
use clap::{Subcommand, ValueEnum};

use super::error::CommandError;
use super::output::{self, Output};
use super::people::OfUser;
use super::{Common, upkeep};
use crate::qr;

/// What is done about books.
#[derive(Debug, Subcommand)]
pub(crate) enum Book {
    /// Ends a book: nothing of it is taken in any more, and its phone parts with what it has
    End {
        /// The book
        #[arg(long, value_name = "ID")]
        book: BookId,
        /// Why
        #[arg(long, value_enum)]
        why: Why,
        #[command(flatten)]
        common: Common,
    },
    /// Ends every book of a person who is blocked for good: blocking him, which can be undone, ends none
    EndAll(OfUser),
    /// Lets a book's pages in whose check digits were read on the phone
    Confirm {
        /// The book
        #[arg(long, value_name = "ID")]
        book: BookId,
        /// The twelve digits that the phone shows
        #[arg(long, value_name = "DIGITS")]
        digits: String,
        #[command(flatten)]
        common: Common,
    },
}

/// Why a book ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Why {
    /// The phone is lost or stolen
    Lost,
    /// The phone is out of use
    Retired,
    /// The phone goes to somebody else
    Transferred,
    /// Its person is blocked
    Blocked,
}

impl Why {
    const fn code(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Retired => "retired",
            Self::Transferred => "transferred",
            Self::Blocked => "blocked",
        }
    }
}

/// Ends a book, or lets one in.
pub(crate) fn book(command: Book) -> Result<(), CommandError> {
    match command {
        Book::End { book, why, common } => Ok(upkeep::open(common.settings)?.end_book(None, book, why.code())?),
        Book::EndAll(OfUser { user, common }) => {
            let out = Output::new(common.json);
            let ended = upkeep::open(common.settings)?.end_books(None, user)?;
            out.fields(&[("books ended", ended.to_string())])
        }
        Book::Confirm { book, digits, common } => Ok(upkeep::open(common.settings)?.confirm_enrolment(None, book, &digits)?),
    }
}

/// Prints a one-time code for a person's phone, and its invitation as blocks that a camera reads off the screen.
pub(crate) fn enrolment_code(OfUser { user, common }: OfUser) -> Result<(), CommandError> {
    let out = Output::new(common.json);
    let code = upkeep::open(common.settings)?.enrolment_code(None, user)?;
    if common.json {
        return out.report(&code);
    }
    let drawn = qr::as_text(&code.invitation)?;
    out.fields(&[
        ("code", code.code),
        ("expires_at", code.expires_at.0.to_string()),
        ("id", code.id.to_string()),
        ("invitation", code.invitation),
    ])?;
    output::line(&drawn)
}
