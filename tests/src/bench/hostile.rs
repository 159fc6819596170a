//! What hostile requests cost a station: for each hazard the CPU of one request and the station's peak memory over idle, beside what was
//! received, as it travelled and unpacked.

use serde::Serialize;

use super::{BenchError, cpu_s, memory_kb, scratch};
use crate::hostile::{AT_THE_LIMIT, Hazard, Scene, greedy, hazards};

/// Bytes over idle that the station may take, KB.
const OVER_IDLE_KB_MAX: u64 = 64 * 1024;
/// CPU that any request may take, ms, beside what parsing takes.
const CPU_MS_MAX: f64 = 100.0;
/// CPU that parsing a received kilobyte may take, unpacked, ms: the costliest honest content (automerge changes) takes about half of it.
pub const CPU_MS_PER_KB: f64 = 1.0;

/// Requests at once, and how often.
const AT_ONCE: usize = 30;
const ROUNDS: usize = 5;

/// The figures of one hazard.
#[derive(Debug, Clone, Serialize)]
pub struct HazardFigures {
    /// Its name.
    pub name: &'static str,
    /// Requests that were measured.
    pub requests: usize,
    /// Kilobytes of one request as it travelled.
    pub wire_kb: f64,
    /// Kilobytes of one request unpacked, as far as it unpacks within the limit.
    pub unpacked_kb: f64,
    /// CPU of the station for one request, ms.
    pub cpu_ms: f64,
    /// Peak memory of the station over idle so far, MB.
    pub over_idle_mb: f64,
    /// Whether it is within the bounds.
    pub within: bool,
}

/// All figures.
#[derive(Debug, Clone, Serialize)]
pub struct HostileFigures {
    /// Memory of the station when it had answered one request, MB.
    pub idle_mb: f64,
    /// The bound on memory over idle, MB.
    pub over_idle_mb_max: f64,
    /// The bound on CPU for one request, ms ...
    pub cpu_ms_max: f64,
    /// ... and for each kilobyte, unpacked.
    pub cpu_ms_per_kb_max: f64,
    /// The hazards.
    pub hazards: Vec<HazardFigures>,
}

/// Runs all hazards against one station process.
///
/// # Errors
/// When a hazard is answered otherwise than it must be, or the station does not go on.
pub async fn run() -> Result<HostileFigures, BenchError> {
    let root = scratch("bench-hostile")?;
    let mut scene = Scene::open(&root).await?;
    let process = scene.station.id();
    // The first request opens what every later one uses: the database's pages, the kinds' shapes.
    let warm = scene.phone.visit()?;
    let page = scene.phone.seal(vec![warm])?;
    let shot = scene.phone.exchange(vec![page])?;
    scene.shoot(shot).await?;
    let idle_kb = memory_kb(&process.to_string(), "VmHWM")?;
    let mut figures = HostileFigures {
        idle_mb: mb(idle_kb),
        over_idle_mb_max: mb(OVER_IDLE_KB_MAX),
        cpu_ms_max: CPU_MS_MAX,
        cpu_ms_per_kb_max: CPU_MS_PER_KB,
        hazards: Vec::new(),
    };
    for hazard in hazards() {
        figures.hazards.push(measure(&mut scene, &hazard, (process, idle_kb)).await?);
    }
    figures.hazards.push(together(&mut scene, process, idle_kb).await?);
    scene.catch_up().await?;
    for hazard in greedy() {
        figures.hazards.push(measure(&mut scene, &hazard, (process, idle_kb)).await?);
    }
    figures.hazards.push(crowd(&scene, process, idle_kb).await?);
    drop(scene);
    std::fs::remove_dir_all(&root)?;
    Ok(figures)
}

/// One hazard, as often as it says.
async fn measure(scene: &mut Scene, hazard: &Hazard, (process, idle_kb): (u32, u64)) -> Result<HazardFigures, BenchError> {
    let (mut requests, mut wire, mut unpacked, mut cpu) = (0, 0, 0, 0.0);
    for _ in 0..hazard.times {
        let shots = (hazard.make)(scene)?;
        wire += shots.iter().map(|shot| shot.body.len()).sum::<usize>();
        unpacked += shots.iter().map(|shot| unpacked_bytes(&shot.body)).sum::<usize>();
        requests += shots.len();
        let before = cpu_s(process)?;
        for shot in shots {
            let said = scene.shoot(shot).await?;
            if said != hazard.expects {
                return Err(BenchError::Wrong(format!("{}: the station said {said:?}", hazard.name)));
            }
        }
        cpu += cpu_s(process)? - before;
    }
    let over_kb = memory_kb(&process.to_string(), "VmHWM")?.saturating_sub(idle_kb);
    let each = |total: f64| total / float(requests.max(1));
    let (cpu_ms, unpacked_kb) = (each(cpu * 1000.0), each(float(unpacked) / 1024.0));
    Ok(HazardFigures {
        name: hazard.name,
        requests,
        wire_kb: each(float(wire) / 1024.0),
        unpacked_kb,
        cpu_ms,
        over_idle_mb: mb(over_kb),
        within: over_kb <= OVER_IDLE_KB_MAX && cpu_ms <= CPU_MS_MAX + CPU_MS_PER_KB * unpacked_kb,
    })
}

/// The longest message that unpacks, many at once: from two phones, and from strangers.
async fn together(scene: &mut Scene, process: u32, idle_kb: u64) -> Result<HazardFigures, BenchError> {
    let longest = hazards().into_iter().find(|hazard| hazard.name == AT_THE_LIMIT);
    let longest = longest.ok_or_else(|| BenchError::Wrong("there is no longest message".into()))?;
    let shots = (longest.make)(scene)?;
    let shot = shots.first().ok_or_else(|| BenchError::Wrong("it makes no request".into()))?;
    let before = cpu_s(process)?;
    for _ in 0..ROUNDS {
        for said in scene.shoot_together(shot, AT_ONCE).await? {
            if said != ["malformed"] && said != ["try_later"] {
                return Err(BenchError::Wrong(format!("many at once: the station said {said:?}")));
            }
        }
    }
    let requests = ROUNDS * AT_ONCE;
    let cpu_ms = (cpu_s(process)? - before) * 1000.0 / float(requests);
    let over_kb = memory_kb(&process.to_string(), "VmHWM")?.saturating_sub(idle_kb);
    let unpacked_kb = float(unpacked_bytes(&shot.body)) / 1024.0;
    Ok(HazardFigures {
        name: "the same, 30 at once",
        requests,
        wire_kb: float(shot.body.len()) / 1024.0,
        unpacked_kb,
        cpu_ms,
        over_idle_mb: mb(over_kb),
        within: over_kb <= OVER_IDLE_KB_MAX && cpu_ms <= CPU_MS_MAX + CPU_MS_PER_KB * unpacked_kb,
    })
}

/// Many phones that ask for everything at once.
async fn crowd(scene: &Scene, process: u32, idle_kb: u64) -> Result<HazardFigures, BenchError> {
    let before = cpu_s(process)?;
    scene.crowd(AT_ONCE).await?;
    let cpu_ms = (cpu_s(process)? - before) * 1000.0 / float(AT_ONCE);
    let over_kb = memory_kb(&process.to_string(), "VmHWM")?.saturating_sub(idle_kb);
    Ok(HazardFigures {
        name: "everything, to 30 phones at once",
        requests: AT_ONCE,
        wire_kb: 0.0,
        unpacked_kb: 0.0,
        cpu_ms,
        over_idle_mb: mb(over_kb),
        // Enrolments are in it.
        within: over_kb <= OVER_IDLE_KB_MAX,
    })
}

/// What the station unpacks of it: all that is within the limit, or the limit, or the bytes themselves where nothing unpacks.
fn unpacked_bytes(body: &[u8]) -> usize {
    match beatbook_protocol::wire::unpack(body) {
        Ok(bytes) => bytes.len(),
        Err(beatbook_protocol::codec::CodecError::TooLong { max, .. }) => max.max(body.len()),
        Err(_) => body.len(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes of memory")]
fn mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}

#[expect(clippy::cast_precision_loss, reason = "bytes and counts of one benchmark")]
fn float(count: usize) -> f64 {
    count as f64
}
