"""A three-layer head on frozen features, as a scikit-learn classifier."""

import warnings
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from desiderata.collect.checks import (
    check_number,
    check_whole,
    checked_features,
    checked_weights,
    checked_widths,
    one_hot,
)
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
            DesiderataError: When a parameter is out of range, or `y` holds a label that is not in `classes`.  The
                classifier is left as it was then.
        """
        self._check_parameters()
        # Of a clone, since it sets attributes before it is done checking.
        x, labels = cast(Any, validate_data(clone(self), cast(Any, X), cast(Any, y), dtype=np.float64))
        check_classification_targets(labels)
        known = np.unique(np.asarray(labels if classes is None else classes))
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)

        network = self._network(x.shape[1], len(known))
        centre = network.initial(int(self.seed))
        targets, weighed = one_hot(labels, known), torch.tensor(weights)
        objective = _objective(network, torch.tensor(x), targets, weighed, self.l2, centre)
        start = centre
        if self.warm_start and getattr(self, "theta_", None) is not None and self.theta_.shape == start.shape:
            start = self.theta_
        theta, gradient_norm, n_iter = minimise(objective, start, self.tolerance, self.max_iterations)

        validate_data(self, cast(Any, X), skip_check_array=True)  # sets the number and the names of the features
        self.classes_, self.network_, self.centre_ = known, network, centre
        self.theta_, self.gradient_norm_, self.n_iter_ = theta, gradient_norm, n_iter
        if self.gradient_norm_ > self.tolerance:
            warnings.warn(
                f"The fit stopped at a gradient norm of {self.gradient_norm_:.1e}, above {self.tolerance:.1e}, after "
                f"{self.n_iter_} steps: raise max_iterations or l2.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def restore(
        self,
        theta: ArrayLike,
        n_features: int,
        classes: ArrayLike,
        *,
        gradient_norm: float = float("nan"),
        n_iter: int = 0,
    ) -> Self:
        """Stand where an earlier `fit` ended, without fitting.

        Args:
            theta: Its `theta_`, shape (P,).
            n_features: Length d of the features that it was fitted on.
            classes: Its `classes_`.
            gradient_norm: Its `gradient_norm_`; not a number where nobody knows.
            n_iter: Its `n_iter_`.

        Returns:
            The fitted classifier.

        Raises:
            DesiderataError: When `theta` is not of that many features, hidden units and classes.  The classifier is
                left as it was then.
        """
        self._check_parameters()
        parameters, known = torch.tensor(np.asarray(theta, dtype=np.float64)), np.unique(np.asarray(classes))
        network = self._network(n_features, len(known))
        if parameters.shape != (network.n_parameters,):
            raise DesiderataError(
                f"The weights are those of another head: {tuple(parameters.shape)} of them where "
                f"{network.n_parameters} belong; restore them into the head that they were fitted in."
            )
        centre = network.initial(int(self.seed))
        vars(self).pop("feature_names_in_", None)  # of another fit
        self.n_features_in_, self.classes_, self.network_, self.centre_ = n_features, known, network, centre
        self.theta_, self.gradient_norm_, self.n_iter_ = parameters, gradient_norm, n_iter
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
            DesiderataError: When there are no points, their number is not that of the labels or weights, features or
                weights are out of range, a label is not among `classes_`, or no weight is above zero.
        """
        x, targets = self.points(X, y, least=1)
        return _objective(self.network_, x, targets, checked_weights(sample_weight, len(x)), self.l2, self.centre_)

    def features(self, X: ArrayLike, *, least: int = 0) -> Tensor:
        """Check features.

        Args:
            X: Features, shape (n, d).
            least: The smallest n that makes sense.

        Returns:
            A copy, shape (n, d), float64.

        Raises:
            DesiderataError: When they are not those of points such as this head was fitted on, or too few.
        """
        check_is_fitted(self, "theta_")
        return checked_features(X, self.n_features_in_, least)

    def points(self, X: ArrayLike, y: ArrayLike, *, least: int = 0) -> tuple[Tensor, Tensor]:
        """Check labelled features.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).
            least: The smallest n that makes sense.

        Returns:
            The features, shape (n, d), and the encoded labels, shape (n, C), both float64.

        Raises:
            DesiderataError: As `features` does, or when `y` has another length or a label not among `classes_`.
        """
        x = self.features(X, least=least)
        return x, one_hot(y, self.classes_, len(x))

    def one_hot(self, y: ArrayLike) -> Tensor:
        """Encode labels.

        Args:
            y: Labels, shape (n,).

        Returns:
            Shape (n, C), float64.

        Raises:
            DesiderataError: When a label is not among `classes_`.
        """
        check_is_fitted(self, "theta_")
        return one_hot(y, self.classes_)

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
        check_is_fitted(self, "theta_")
        x = validate_data(self, cast(Any, X), dtype=np.float64, reset=False)
        return self.network_.logits(self.theta_, torch.tensor(x))

    def _network(self, n_features: int, n_classes: int) -> Network:
        """Return the architecture."""
        return Network((n_features, *checked_widths(self.hidden), n_classes), self.activation)

    def _check_parameters(self) -> None:
        check_number("l2", self.l2, "it is what gives every direction curvature, so try 1e-2", above=0)
        check_number("tolerance", self.tolerance, "try 1e-5", above=0)
        check_whole("max_iterations", self.max_iterations, 1, "try 500")
        check_whole("seed", self.seed, 0, "try 0", most=2**64 - 1)
        checked_widths(self.hidden)
        if self.activation not in list(ACTIVATIONS):
            raise DesiderataError(
                f"activation is {self.activation!r}, but must be one of {sorted(ACTIVATIONS)}: try tanh."
            )


def _objective(network: Network, x: Tensor, targets: Tensor, weights: Tensor, l2: float, centre: Tensor) -> Objective:
    """Return J on points x (n, d), one-hot targets (n, C) and weights (n,) that do not sum to one yet."""
    total = float(weights.sum())
    return Objective(network, x, targets, weights / total, l2, centre, total)
