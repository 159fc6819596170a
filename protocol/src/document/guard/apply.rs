//! Takes judged changes into a copy of the document and proves that the copy can be read, saved and loaded again.

use super::fault::GuardFault;
use super::trial::{Judged, Proven};
use crate::document::body::{Document, calmly, load_snapshot};
use crate::document::read::Reader;
use crate::document::view::{self, View};
use crate::id::Hash;

/// Applies changes, each of which comes after those it depends on.
pub(super) fn apply(document: Document, judged: Vec<Judged>) -> Proven {
    let mut proven = Proven {
        document,
        view: None,
        failed: Vec::new(),
    };
    bisect(&mut proven, judged);
    proven
}

/// Tries all at once; when that fails, one half after the other, so that one bad change takes only its descendants along.
fn bisect(proven: &mut Proven, mut judged: Vec<Judged>) {
    let failed = &mut proven.failed;
    judged.retain(|change| {
        let of = change
            .line
            .deps
            .iter()
            .find(|dep| failed.iter().any(|(hash, _)| hash == *dep));
        if let Some(&of) = of {
            failed.push((change.line.hash, GuardFault::Descendant { of }));
        }
        of.is_none()
    });
    if judged.is_empty() {
        return;
    }
    match prove(&proven.document, &judged) {
        Ok((document, view)) => (proven.document, proven.view) = (document, Some(view)),
        Err(fault) if judged.len() == 1 => proven.failed.push((judged[0].line.hash, fault)),
        Err(_) => {
            let rest = judged.split_off(judged.len() / 2);
            bisect(proven, judged);
            bisect(proven, rest);
        }
    }
}

/// The document with the changes in it and what it says, when it holds.
fn prove(document: &Document, judged: &[Judged]) -> Result<(Document, View), GuardFault> {
    calmly(|| {
        let mut grown = document.clone();
        grown.take_in(judged.iter().map(|judged| judged.change.clone()).collect())?;
        let heads = grown.heads();
        let read = view::read(&Reader::now(&grown), heads.clone())?;
        // Loading checks the heads by writing every change anew and hashing it: equal heads are equal bytes, the whole way down. So the history
        // can be read too, which is the replay of these bytes that the trial went through.
        let loaded = load_snapshot(&grown.save()).map_err(|_| GuardFault::DoesNotReload)?;
        let loaded_heads: Vec<Hash> = loaded.get_heads().iter().map(|hash| Hash::from_bytes(hash.0)).collect();
        if loaded_heads != heads || view::read(&Reader::over(&loaded, grown.log()), heads)? != read {
            return Err(GuardFault::DoesNotReload);
        }
        Ok((grown, read))
    })
}
