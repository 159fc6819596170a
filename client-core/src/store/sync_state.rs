//! Where the exchange with the station stands.
