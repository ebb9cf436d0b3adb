//! Connections whose peer is not known yet: only so many at a time, and an address with many makes room for one with few (TR-10).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All of them.
pub(super) struct Strangers {
    most: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// By number, hence by age.
    waiting: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    each: HashMap<IpAddr, usize>,
}

/// One's place among them, until it is dropped.
pub(super) struct Stranger {
    number: u64,
    all: Arc<Strangers>,
    crowded_out: Arc<Notify>,
}

impl Strangers {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            table: Mutex::default(),
        })
    }

    /// A place, if there is one, or if an address with at least two more than this one can be made to give one up: then its oldest goes.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let mut table = self.table();
        if table.waiting.len() >= self.most {
            let oldest = table.oldest_of_busiest(address)?;
            table.remove(oldest)?.notify_one();
        }
        let number = table.next;
        table.next += 1;
        let crowded_out = Arc::new(Notify::new());
        table.waiting.insert(number, (address, crowded_out.clone()));
        *table.each.entry(address).or_default() += 1;
        drop(table);
        Some(Stranger {
            number,
            all: self.clone(),
            crowded_out,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn oldest_of_busiest(&self, newcomer: IpAddr) -> Option<u64> {
        let own = self.each.get(&newcomer).copied().unwrap_or(0);
        let most = self
            .each
            .values()
            .copied()
            .max()
            .filter(|most| *most > own + 1)?;
        let busiest = |address: &IpAddr| self.each.get(address) == Some(&most);
        let mut by_age = self.waiting.iter();
        by_age.find_map(|(number, (address, _))| busiest(address).then_some(*number))
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Notify>> {
        let (address, crowded_out) = self.waiting.remove(&number)?;
        if let Some(count) = self.each.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.each.remove(&address);
            }
        }
        Some(crowded_out)
    }
}

impl Stranger {
    /// Waits until it has to make room.
    pub(super) async fn crowded_out(&self) {
        self.crowded_out.notified().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.all.table().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(stranger: &Stranger) -> bool {
        !stranger.all.table().waiting.contains_key(&stranger.number)
    }

    #[test]
    fn a_crowd_from_one_address_keeps_no_other_out() {
        let (all, crowd, other) = (
            Strangers::new(8),
            IpAddr::from([10, 0, 0, 1]),
            IpAddr::from([10, 0, 0, 2]),
        );
        let held: Vec<_> = (0..8).map(|_| all.enter(crowd).unwrap()).collect();
        assert!(all.enter(crowd).is_none(), "its own crowd is in its way");
        let first = all.enter(other).unwrap();
        assert!(out(&held[0]) && held[1..].iter().all(|one| !out(one)));
        let more: Vec<_> = (0..3).map(|_| all.enter(other).unwrap()).collect();
        assert_eq!(held.iter().filter(|one| out(one)).count(), 4);
        assert!(all.enter(other).is_none(), "four and four");
        assert!(all.enter(crowd).is_none(), "nor back again");
        assert!(!out(&first) && more.iter().all(|one| !out(one)));
        drop(held);
        assert_eq!(all.table().waiting.len(), 4);
        drop((first, more));
        assert!(all.table().each.is_empty());
        assert!(all.enter(crowd).is_some());
    }
}
