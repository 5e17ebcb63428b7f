//! A route: the first condition that holds of a point says where it goes.

use super::Next;
use super::filter::Name;
use crate::decode::Refusal;
use crate::map::Condition;
use crate::point::Point;
use crate::route::OPEN_PLACE;

/// Gives points the name that their destination is made with.
#[derive(Debug, Clone)]
pub struct Route {
    rules: Vec<(Condition<Name>, String)>,
    /// The name where no condition holds.
    otherwise: String,
}

impl Route {
    /// By conditions, each with the name that it gives, in the order in which they are tried.
    pub fn new(rules: Vec<(Condition<Name>, String)>, otherwise: String) -> Self {
        Self { rules, otherwise }
    }

    pub(super) fn take(&self, mut point: Point<'_>, next: Next<'_>) -> Result<(), Refusal> {
        let holds =
            |condition: &Condition<Name>| condition.holds(&|name: &Name| Ok(name.value(&point)));
        let first = self.rules.iter().find(|(condition, _)| holds(condition));
        let name = first.map_or(&self.otherwise, |(_, name)| name);
        point.to = point.to.replace(OPEN_PLACE, name).into();
        next(point)
    }
}
