// Where the header's links do not all fit, they scroll: show the one of this page.

const link = document.querySelector(".top nav [aria-current]");
if (link) link.parentElement.scrollLeft = link.offsetLeft - (link.parentElement.clientWidth - link.offsetWidth) / 2;
