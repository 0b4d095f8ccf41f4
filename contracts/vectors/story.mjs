// What a step of a story looks like, for any of the contracts.

/** The parties of a contract, told apart; `step` writes one step of theirs. */
export function teller(parties) {
  /** [wallet, credit] per party; parties left out do not move. `nobody` is credited with what is burnt. */
  const money = (moves = {}) => Object.fromEntries([...parties, "stranger", "nobody"].map((who) => {
    const [wallet, credit] = moves[who] ?? [0, 0];
    return [who, { wallet, credit }];
  }));
  const step = (time, actor, event, args, state, moves, error = "") =>
    ({ time, block: 11, actor, event, args, expect: { state, error }, deltas: money(moves) });
  const refused = (time, actor, event, args, state, error) => step(time, actor, event, args, state, {}, error);
  return { money, step, refused };
}
