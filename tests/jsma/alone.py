"""The method without the benchmark: two slides, one step of training."""

import torch

from jsma import JSMA, CellGrid, JSMASettings
from jsma.networks.attention import pools_of

settings = JSMASettings(n_patches=32, mpps=(0.5, 1.0, 2.0, 4.0))
model = JSMA(settings, feature_dim=1280, n_classes=2)

grid = CellGrid(8192, 6144, 0.5, settings.mpps, 64)  # width and height in px at 0.5 um/px
overviews = torch.rand(2, 3, 96, 128)  # of the two slides, RGB in 0..1
log_a = model.attend(overviews, pools_of(grid, (96, 128)))  # [2, K], K cells of all magnifications
draws = model.draw(log_a, torch.Generator().manual_seed(0), grid)

logits = []
for own, draw in zip(log_a, draws, strict=True):
    magnification, row, column = grid.decode(draw.indices.numpy())  # which patches to read, 32 of K
    features = torch.nn.functional.normalize(torch.rand(32, 1280), dim=1)  # your encoder's, of norm 1
    logits.append(model.classify(own[draw.indices], features, torch.from_numpy(magnification), draw.log_threshold))
logits = torch.stack(logits)  # [2, 2]

sizes = [part.stop - part.start for part in grid.slices]
loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1])) + model.regulariser(log_a, sizes).mean()
loss.backward()
print(tuple(log_a.shape), tuple(logits.shape), f"{float(loss.detach()):.3f}")
