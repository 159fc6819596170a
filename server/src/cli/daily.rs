//! What the server does once a day by itself: destroying what is due, where its settings say so.

use std::sync::Arc;
use std::time::Duration;

use crate::station::Station;

/// How often it looks: an hour after each start, so that a server that is restarted every day gets to it too.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Hours between two destructions.
const HOURS: u32 = 24;

/// Looks after retention until the server ends, if the station's settings let it.
pub(crate) async fn keep(station: Arc<Station>) {
    if !station.retention.apply_daily {
        return std::future::pending().await;
    }
    let mut hours = HOURS;
    loop {
        tokio::time::sleep(HOUR).await;
        hours += 1;
        if hours <= HOURS {
            continue;
        }
        hours = 0;
        let station = Arc::clone(&station);
        match tokio::task::spawn_blocking(move || station.apply_retention(None)).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "what is due by its retention was not destroyed"),
            Err(_) => tracing::error!("what is due by its retention was not destroyed"),
        }
    }
}
