// The icons that nodes and the studio use, by the names of lucide.dev; those of a node that is not
// here get the box.

import {
  Activity, ArrowLeftRight, ArrowRight, Bell, Bot, Box, Boxes, Braces, Brain, Bug, Calculator, Calendar, ChartLine, Check,
  CircleAlert, CircleQuestionMark, Clock, Cloud, Code, Copy, Cpu, CreditCard, Database, Download, Ellipsis, FilePlus,
  FileText, Filter, Folder, GitBranch, Globe, Hash, History, Image, Key, Keyboard, Layers, Link, List, Lock, LogIn, LogOut,
  Mail, MapPin, Maximize, MessageSquare, Merge, Minus, Network, Package, PanelRight, Pause, Play, Plus, Redo2, Regex,
  Repeat, Rss, Search, Send, Server, Settings, ShoppingCart, Shuffle, Sigma, Sparkles, Split, Square, SquarePlus, Star, Table, Tag, Terminal,
  TextCursorInput, Timer, Trash2, TriangleAlert, Truck, Undo2, Upload, User, Users, Webhook, WandSparkles, Wrench, X, Zap,
} from "lucide-react";
import type { LucideIcon } from "lucide-react";

export const BOX = Box;

export const ICONS: Readonly<Record<string, LucideIcon>> = {
  activity: Activity, "arrow-left-right": ArrowLeftRight, "arrow-right": ArrowRight, bell: Bell, bot: Bot, box: Box,
  boxes: Boxes, braces: Braces, brain: Brain, bug: Bug, calculator: Calculator, calendar: Calendar, "chart-line": ChartLine,
  check: Check, "circle-alert": CircleAlert, help: CircleQuestionMark, clock: Clock, cloud: Cloud, code: Code, copy: Copy,
  cpu: Cpu, "credit-card": CreditCard, database: Database, download: Download, ellipsis: Ellipsis, "file-plus": FilePlus,
  "file-text": FileText, filter: Filter, folder: Folder, "git-branch": GitBranch, globe: Globe, hash: Hash, history: History,
  image: Image, key: Key, keyboard: Keyboard, layers: Layers, link: Link, list: List, lock: Lock, "log-in": LogIn,
  "log-out": LogOut, mail: Mail, "map-pin": MapPin, maximize: Maximize, "message-square": MessageSquare, merge: Merge,
  minus: Minus, network: Network, package: Package, "panel-right": PanelRight, pause: Pause, play: Play, plus: Plus,
  redo: Redo2, regex: Regex, repeat: Repeat, rss: Rss, search: Search, send: Send, server: Server, settings: Settings,
  "shopping-cart": ShoppingCart, shuffle: Shuffle, sigma: Sigma, sparkles: Sparkles, split: Split, square: Square,
  "square-plus": SquarePlus, star: Star, table: Table, tag: Tag, terminal: Terminal, "text-cursor-input": TextCursorInput,
  timer: Timer, "trash-2": Trash2, "triangle-alert": TriangleAlert, truck: Truck, undo: Undo2, upload: Upload, user: User,
  users: Users, webhook: Webhook, "wand-sparkles": WandSparkles, wrench: Wrench, x: X, zap: Zap,
};
