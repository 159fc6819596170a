//! What the station chief sees and does: the queue, the record's page, acts. Knows nothing of HTTP.

pub mod view;
