//! Puts messages into the outbox.

use super::Database;
use crate::outbox::Mail;

/// The most messages in the outbox. The oldest goes for each new one.
const MAX_MAILS: usize = 10_000;

impl Database {
    pub(crate) fn send(&mut self, mail: Mail) {
        if self.outbox.len() == MAX_MAILS {
            self.outbox.remove(0);
        }
        self.outbox.push(mail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_has_the_newest_messages() {
        let mut database = Database::new(Some(1));
        let mail = |number: usize| Mail {
            to: String::new(),
            kind: "sms",
            token: number.to_string(),
            token_hash: None,
            link: None,
        };
        for number in 0..MAX_MAILS + 2 {
            database.send(mail(number));
        }
        assert_eq!(database.outbox.len(), MAX_MAILS);
        assert_eq!(database.outbox.first(), Some(&mail(2)));
    }
}
