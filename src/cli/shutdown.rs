//! When to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Done at the first SIGTERM or SIGINT. A second one ends the process at once.
pub(super) async fn requested() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("cannot listen for signals: the process ends only when it is killed");
        return std::future::pending().await;
    };
    either(&mut term, &mut int).await;
    tracing::info!("stopping: answers under way are finished first");
    tokio::spawn(async move {
        either(&mut term, &mut int).await;
        std::process::exit(1);
    });
}

async fn either(a: &mut Signal, b: &mut Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}
