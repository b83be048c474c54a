"""A three-layer head on frozen features, as a scikit-learn classifier."""

import warnings
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from desiderata.collect.fitting import Objective, minimise
from desiderata.collect.network import ACTIVATIONS, Network
from desiderata.errors import DesiderataError


class HeadClassifier(ClassifierMixin, BaseEstimator):
    r"""Three-layer network on frozen features, fitted to a stated gradient norm.

    J(theta) = (sum_i w_i CE_i) / (sum_i w_i) + l2/2 ||theta - theta_0||^2,

    with theta_0 the initial draw of `seed` (He et al. 2015) and biases included.  The paper (GenMQD, section 3.4)
    fixes three layers and leaves activation and regularisation open.  Both are chosen so that a minimiser exists,
    is reached, and moves smoothly with the data, as influence functions presume: a smooth activation (see `Network`)
    and a pull towards theta_0 (see `Objective`).  Everything is float64, full-batch and fixed by `seed`.

    Args:
        hidden: Widths of the hidden layers.
        l2: Strength of the pull towards theta_0, > 0.
        tolerance: Norm of the gradient of J at which a fit counts as converged, > 0.
        max_iterations: Limit on the steps of a fit.  A fit that ends above `tolerance` warns.
        seed: Non-negative integer that fixes theta_0.
        warm_start: Start from the parameters of the previous fit, where shapes agree.  The objective, theta_0
            included, stays the same.
        activation: "tanh", or "softplus" (a smooth ReLU).

    Attributes:
        classes_: Class labels in the order of the outputs, shape (C,).
        theta_: Parameters, weights and biases of all layers in one float64 vector, shape (P,).
        network_: The architecture; `network_.logits(theta, X)` is the functional forward pass.
        centre_: theta_0, shape (P,).
        gradient_norm_: Norm of the gradient of J at `theta_`.
        n_iter_: Steps taken by the last fit.
        n_features_in_: Number d of features.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64, 64),
        l2: float = 1e-2,
        tolerance: float = 1e-5,
        max_iterations: int = 500,
        seed: int = 0,
        warm_start: bool = False,
        activation: str = "tanh",
    ) -> None:
        self.hidden = hidden
        self.l2 = l2
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.seed = seed
        self.warm_start = warm_start
        self.activation = activation

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Minimise J on labelled features.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).
            sample_weight: Non-negative weights, shape (n,); ones by default.
            classes: All labels there are, where `y` may lack some; the labels in `y` by default.

        Returns:
            The fitted classifier.

        Raises:
            DesiderataError: When a parameter is out of range, or `y` holds a label that is not in `classes`.
        """
        self._check_parameters()
        x, labels = cast(Any, validate_data(self, cast(Any, X), cast(Any, y), dtype=np.float64))
        check_classification_targets(labels)
        self.classes_ = np.unique(np.asarray(labels if classes is None else classes))
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)

        self.network_ = Network((x.shape[1], *self.hidden, len(self.classes_)), self.activation)
        self.centre_ = self.network_.initial(self.seed)
        objective = self.objective(x, labels, weights)
        start = self.centre_
        if self.warm_start and getattr(self, "theta_", None) is not None and self.theta_.shape == start.shape:
            start = self.theta_
        self.theta_, self.gradient_norm_, self.n_iter_ = minimise(
            objective, start, self.tolerance, self.max_iterations
        )
        if self.gradient_norm_ > self.tolerance:
            warnings.warn(
                f"The fit stopped at a gradient norm of {self.gradient_norm_:.1e}, above {self.tolerance:.1e}, after "
                f"{self.n_iter_} steps: raise max_iterations or l2.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def objective(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Objective:
        """Return J on given data, with its derivatives at any parameters.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).
            sample_weight: Non-negative weights, shape (n,); ones by default.

        Returns:
            The objective that `fit` minimises on these data.

        Raises:
            DesiderataError: When a label is not among `classes_`, or no weight is above zero.
        """
        x = torch.tensor(np.asarray(X, dtype=np.float64))
        weights = torch.ones(len(x), dtype=torch.float64)
        if sample_weight is not None:
            weights = torch.tensor(np.asarray(sample_weight, dtype=np.float64))
        total = float(weights.sum())
        if sample_weight is not None and not total > 0:
            raise DesiderataError("No sample weight is above zero, so nothing counts: give some point a weight.")
        return Objective(self.network_, x, self.one_hot(y), weights / total, self.l2, self.centre_, total)

    def one_hot(self, y: ArrayLike) -> Tensor:
        """Encode labels.

        Args:
            y: Labels, shape (n,).

        Returns:
            Shape (n, C), float64.

        Raises:
            DesiderataError: When a label is not among `classes_`.
        """
        labels = np.asarray(y)
        index = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        if not (wrong := self.classes_[index] != labels).any():
            return torch.eye(len(self.classes_), dtype=torch.float64)[torch.from_numpy(index)]
        raise DesiderataError(
            f"The label {labels[wrong].tolist()[0]!r} is not among the classes {self.classes_.tolist()}: "
            "name every class when fitting, or correct the label."
        )

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Logits; with two classes their difference, as scikit-learn has it.

        Args:
            X: Features, shape (n, d).

        Returns:
            Shape (n, C), or (n,) when C is 2.
        """
        logits = self._logits(X)
        return (logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits).numpy()

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Class probabilities.

        Args:
            X: Features, shape (n, d).

        Returns:
            Shape (n, C), rows summing to one.
        """
        return self._logits(X).softmax(-1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable labels.

        Args:
            X: Features, shape (n, d).

        Returns:
            Shape (n,).
        """
        index = self._logits(X).argmax(-1).numpy()
        return self.classes_[index]

    def _logits(self, X: ArrayLike) -> Tensor:
        check_is_fitted(self)
        x = validate_data(self, cast(Any, X), dtype=np.float64, reset=False)
        return self.network_.logits(self.theta_, torch.tensor(x))

    def _check_parameters(self) -> None:
        if not self.l2 > 0:
            raise DesiderataError(
                f"l2 is {self.l2}, but must be above 0: it is what gives every direction curvature."
            )
        if not self.tolerance > 0:
            raise DesiderataError(f"tolerance is {self.tolerance}, but must be above 0: try 1e-5.")
        if not all(width > 0 for width in self.hidden):
            raise DesiderataError(f"hidden is {self.hidden}, but every layer needs at least one unit: try (64, 64).")
        if self.activation not in ACTIVATIONS:
            raise DesiderataError(f"activation is {self.activation!r}, but must be one of {sorted(ACTIVATIONS)}.")
