//! Automorphisms of a colored graph that respect sign constraints, by backtracking.

use std::collections::BTreeMap;

use super::constraints::Constraints;
use crate::molecule::bonds::Bonds;
use crate::{Error, Result};

/// Assignments tried before the search gives up.
const MOST_STEPS: usize = 20_000_000;

/// Colors that every automorphism keeps: species, refined by the colors of the neighbors until stable.
pub(super) fn colors(species: &[u8], bonds: &Bonds) -> Vec<usize> {
    let mut colors: Vec<usize> = species.iter().map(|&z| usize::from(z)).collect();
    let mut count = 0;
    loop {
        let keys: Vec<(usize, Vec<usize>)> = (0..colors.len())
            .map(|atom| {
                let mut around: Vec<usize> = bonds.neighbors[atom].iter().map(|&j| colors[j]).collect();
                around.sort_unstable();
                (colors[atom], around)
            })
            .collect();
        let mut numbers: BTreeMap<&(usize, Vec<usize>), usize> = keys.iter().map(|key| (key, 0)).collect();
        for (number, value) in numbers.values_mut().enumerate() {
            *value = number;
        }
        colors = keys.iter().map(|key| numbers[key]).collect();
        if numbers.len() == count {
            return colors;
        }
        count = numbers.len();
    }
}

pub(super) fn too_many(limit: usize) -> Error {
    Error::Unsupported(format!(
        "the molecule has more than {limit} feasible symmetry operations; go on without symmetry, or select \
         fewer equal groups or molecules"
    ))
}

/// All feasible permutations with or without a mirror image.
pub(super) fn permutations(
    bonds: &Bonds,
    colors: &[usize],
    constraints: &Constraints,
    mirror: bool,
    limit: usize,
) -> Result<Vec<Vec<usize>>> {
    let graph = Graph { bonds, colors };
    let holds = |k: usize, image: &[usize]| constraints.holds(k, image, mirror);
    let found = maps(graph, graph, constraints, &holds, limit + 1)?;
    if found.len() > limit {
        return Err(too_many(limit));
    }
    Ok(found)
}

/// A colored graph.
#[derive(Clone, Copy)]
pub(super) struct Graph<'a> {
    pub bonds: &'a Bonds,
    pub colors: &'a [usize],
}

/// The first `most` maps of one graph onto another of as many atoms and bonds that keep colors and bonds, and for which
/// `holds(k, image)` is true of every constraint k of the first.
pub(super) fn maps(
    from: Graph,
    to: Graph,
    constraints: &Constraints,
    holds: &dyn Fn(usize, &[usize]) -> bool,
    most: usize,
) -> Result<Vec<Vec<usize>>> {
    let order = visit_order(from.bonds, from.colors);
    let mut place = vec![0; order.len()];
    for (step, &atom) in order.iter().enumerate() {
        place[atom] = step;
    }
    let mut search = Search {
        from,
        to,
        holds,
        due: constraints.by_last_place(&place),
        order,
        most,
        image: vec![usize::MAX; from.colors.len()],
        used: vec![false; to.colors.len()],
        found: Vec::new(),
        steps: 0,
    };
    search.extend(0)?;
    Ok(search.found)
}

/// Atoms so that each, where it can, follows a bonded one, starting from the rarest color: images then have
/// few candidates, and the constraints around a center are complete early.
fn visit_order(bonds: &Bonds, colors: &[usize]) -> Vec<usize> {
    let rarity = |atom: usize| colors.iter().filter(|&&color| color == colors[atom]).count();
    let mut starts: Vec<usize> = (0..colors.len()).collect();
    starts.sort_by_key(|&atom| (rarity(atom), std::cmp::Reverse(bonds.neighbors[atom].len()), atom));
    let mut seen = vec![false; colors.len()];
    let mut order = Vec::with_capacity(colors.len());
    for start in starts {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        order.push(start);
        let mut next = order.len() - 1;
        while next < order.len() {
            for &j in &bonds.neighbors[order[next]] {
                if !seen[j] {
                    seen[j] = true;
                    order.push(j);
                }
            }
            next += 1;
        }
    }
    order
}

struct Search<'a> {
    from: Graph<'a>,
    to: Graph<'a>,
    holds: &'a dyn Fn(usize, &[usize]) -> bool,
    /// Constraints whose last atom is assigned at that step.
    due: Vec<Vec<usize>>,
    order: Vec<usize>,
    most: usize,
    image: Vec<usize>,
    used: Vec<bool>,
    found: Vec<Vec<usize>>,
    steps: usize,
}

impl Search<'_> {
    fn extend(&mut self, step: usize) -> Result<()> {
        let Some(&atom) = self.order.get(step) else {
            self.found.push(self.image.clone());
            return Ok(());
        };
        // An atom bonded to one that is already assigned goes to a neighbor of that one's image.
        let anchor = self.from.bonds.neighbors[atom].iter().find(|&&j| self.image[j] != usize::MAX);
        let bonds = self.to.bonds;
        let candidates: Vec<usize> = match anchor {
            Some(&j) => bonds.neighbors[self.image[j]].clone(),
            None => (0..self.to.colors.len()).collect(),
        };
        for candidate in candidates {
            if self.found.len() == self.most {
                return Ok(());
            }
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err(Error::Unsupported(
                    "the search for symmetry operations takes too long; go on without symmetry".into(),
                ));
            }
            if self.used[candidate]
                || self.to.colors[candidate] != self.from.colors[atom]
                || !self.bonds_agree(atom, candidate)
            {
                continue;
            }
            self.image[atom] = candidate;
            self.used[candidate] = true;
            let kept = self.due[step].iter().all(|&k| (self.holds)(k, &self.image));
            if kept {
                self.extend(step + 1)?;
            }
            self.image[atom] = usize::MAX;
            self.used[candidate] = false;
        }
        Ok(())
    }

    /// Assigned neighbors go to neighbors. Both atoms have equally many neighbors (equal colors), so a
    /// complete assignment that keeps every bond makes no new one.
    fn bonds_agree(&self, atom: usize, candidate: usize) -> bool {
        self.from.bonds.neighbors[atom].iter().all(|&j| {
            let image = self.image[j];
            image == usize::MAX || self.to.bonds.bonded(image, candidate)
        })
    }
}
