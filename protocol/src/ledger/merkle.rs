//! RFC 6962 hashing over nodes that somebody else keeps: appending, roots, inclusion and consistency proofs, and their verification.
//! Knows nothing of pages. Checked against an independent implementation in tests.

use crate::id::Hash;

/// Hash of a leaf's bytes (RFC 6962, 2.1).
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash::of(&[&[0], bytes])
}

/// Hash over two subtrees (RFC 6962, 2.1).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// Where the hashes of complete subtrees are kept: level 0 are leaves, and node `index` of level `l` covers the leaves from
/// `index * 2^l` on.
pub trait Nodes {
    /// What can go wrong with the keeper.
    type Error;

    /// The hash of a complete subtree.
    ///
    /// # Errors
    /// When the keeper cannot be read or does not have it.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// A complete subtree's place and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Height above the leaves.
    pub level: u32,
    /// Number within the level.
    pub index: u64,
    /// Hash.
    pub hash: Hash,
}

/// The nodes that become complete when a leaf is appended to a tree of `size` leaves: the leaf, and each subtree it fills.
///
/// # Errors
/// Those of the keeper.
pub fn append<N: Nodes>(nodes: &N, size: u64, leaf: Hash) -> Result<Vec<Node>, N::Error> {
    let mut node = Node {
        level: 0,
        index: size,
        hash: leaf,
    };
    let mut complete = vec![node];
    while node.index % 2 == 1 {
        let left = nodes.node(node.level, node.index - 1)?;
        node = Node {
            level: node.level + 1,
            index: node.index / 2,
            hash: node_hash(&left, &node.hash),
        };
        complete.push(node);
    }
    Ok(complete)
}

/// The root over the first `size` leaves; of an empty tree the hash of nothing.
///
/// # Errors
/// Those of the keeper.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(Hash::of(&[])) } else { range(nodes, 0, size) }
}

/// The root over leaf hashes that are at hand.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(&[]),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(usize::try_from(split(more.len() as u64)).unwrap_or(1));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The path that proves leaf `index` to be in the tree of `size` leaves (RFC 6962, 2.1.1). `index < size`.
///
/// # Errors
/// Those of the keeper.
pub fn prove_inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Whether the path leads from the leaf at `index` to the root of `size` leaves (RFC 9162, 2.1.3.2).
#[must_use]
pub fn inclusion_holds(leaf: Hash, index: u64, size: u64, root: Hash, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at % 2 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// The proof that the tree of `old` leaves is the beginning of the tree of `size` leaves (RFC 6962, 2.1.2). Empty when either is
/// the other's whole or `old` is 0. `old <= size`.
///
/// # Errors
/// Those of the keeper.
pub fn prove_consistency<N: Nodes>(nodes: &N, old: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if old == 0 || old == size {
        return Ok(proof);
    }
    let (mut low, mut high) = (0, size);
    // Whether the part that is left is one that the holder of the old root has as a whole.
    let mut whole = true;
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range(nodes, low, middle)?);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(range(nodes, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether the proof shows that `old_root` over `old` leaves is the beginning of `root` over `size` leaves (RFC 9162, 2.1.4.2).
#[must_use]
pub fn consistency_holds(old: u64, old_root: Hash, size: u64, root: Hash, proof: &[Hash]) -> bool {
    if old == 0 {
        return proof.is_empty() && old_root == Hash::of(&[]);
    }
    if old >= size {
        return old == size && old_root == root && proof.is_empty();
    }
    let (mut at, mut last) = (old - 1, size - 1);
    while at % 2 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let mut rest = proof.iter();
    let first = if at == 0 && old.is_power_of_two() {
        Some(&old_root)
    } else {
        rest.next()
    };
    let Some(first) = first else { return false };
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            before = node_hash(sibling, &before);
            after = node_hash(sibling, &after);
            while at % 2 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == old_root && after == root
}

/// The largest power of two below `count`.
const fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

fn range<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Hash, N::Error> {
    let count = high - low;
    if count.is_power_of_two() {
        return nodes.node(count.trailing_zeros(), low / count);
    }
    let middle = low + split(count);
    Ok(node_hash(&range(nodes, low, middle)?, &range(nodes, middle, high)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use ct_merkle::{ConsistencyProof, InclusionProof, mem_backed_tree::MemoryBackedTree};
    use sha2::Sha256;

    use super::*;

    #[derive(Default)]
    struct Kept(BTreeMap<(u32, u64), Hash>);

    impl Nodes for Kept {
        type Error = Infallible;

        fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
            Ok(self.0[&(level, index)])
        }
    }

    #[test]
    fn roots_and_proofs_agree_with_an_independent_implementation() {
        let mut kept = Kept::default();
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut roots = vec![root(&kept, 0).unwrap()];
        let mut hashes = Vec::new();
        for size in 0..70_u64 {
            let leaf = vec![u8::try_from(size).unwrap(); 3];
            hashes.push(leaf_hash(&leaf));
            for node in append(&kept, size, leaf_hash(&leaf)).unwrap() {
                kept.0.insert((node.level, node.index), node.hash);
            }
            oracle.push(leaf);
            roots.push(root(&kept, size + 1).unwrap());
            assert_eq!(roots.last().unwrap().as_bytes()[..], oracle.root().as_bytes()[..]);
            assert_eq!(root_of(&hashes), *roots.last().unwrap());
            for old in 1..=size {
                let proof = prove_consistency(&kept, old, size + 1).unwrap();
                let theirs: ConsistencyProof<Sha256> = oracle.prove_consistency(usize::try_from(size + 1 - old).unwrap());
                assert_eq!(
                    proof.iter().flat_map(|h| *h.as_bytes()).collect::<Vec<_>>(),
                    theirs.as_bytes()
                );
                let (a, b) = (
                    roots[usize::try_from(old).unwrap()],
                    roots[usize::try_from(size).unwrap() + 1],
                );
                assert!(consistency_holds(old, a, size + 1, b, &proof));
                assert!(!consistency_holds(old, b, size + 1, b, &proof));
                assert!(!consistency_holds(old, a, size + 1, a, &proof));
            }
            for index in 0..=size {
                let path = prove_inclusion(&kept, index, size + 1).unwrap();
                let theirs: InclusionProof<Sha256> = oracle.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(path.iter().flat_map(|h| *h.as_bytes()).collect::<Vec<_>>(), theirs.as_bytes());
                let leaf = hashes[usize::try_from(index).unwrap()];
                assert!(inclusion_holds(leaf, index, size + 1, *roots.last().unwrap(), &path));
                assert!(!inclusion_holds(leaf, index + 1, size + 1, *roots.last().unwrap(), &path));
            }
        }
    }
}
