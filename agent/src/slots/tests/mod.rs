pub(super) mod injection;
