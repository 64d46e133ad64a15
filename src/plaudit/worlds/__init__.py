"""Control worlds: Gymnasium environments as vectors, stepped together, recorded, evaluated and drawn. No torch.

`Lockstep` is the only caller of `env.step`; whatever an environment does wrong becomes a WorldError naming the place.
"""
